"""The scripts that make shells ask `trainer` at a Tab, and where they are installed.

Each hands over what was typed as text, and takes what comes back as text: no shell evaluates either.
"""

import os
from pathlib import Path

from trainer.system.atomic import write_text
from trainer.system.errors import StorageError
from trainer.system.paths import quoted

_BASH = r"""# Tab completion of trainer in bash.
_trainer() {
    local line IFS=
    COMPREPLY=()
    while read -r line; do
        COMPREPLY+=("$line")
    done < <(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT TRAINER_WORDBREAKS=$COMP_WORDBREAKS \
        command "${1/#\~\//$HOME/}" -sc query=bash 2>/dev/null)
}
complete -o nospace -F _trainer trainer
"""
_ZSH = r"""#compdef trainer
# Tab completion of trainer in zsh.
_trainer() {
    local word about program="${${(Q)words[1]}/#\~\//$HOME/}"
    local -a ends ends_shown opens opens_shown
    while IFS=$'\t' read -r word about; do
        if [[ $word == *[=./] ]]; then
            opens+=("$word")
            opens_shown+=("$word${about:+  -- $about}")
        else
            ends+=("$word")
            ends_shown+=("$word${about:+  -- $about}")
        fi
    done < <(command "$program" -sc query=zsh -- trainer "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    if compset -P '(|*=)\~/'; then  # which zsh would quote
        ends=("${(@)ends#(|*=)\~/}")
        opens=("${(@)opens#(|*=)\~/}")
    fi
    (( $#ends )) && compadd -l -d ends_shown -- "${ends[@]}"
    (( $#opens )) && compadd -l -S '' -d opens_shown -- "${opens[@]}"
    (( $#ends + $#opens ))
}
if (( ! $+functions[compdef] )); then
    autoload -Uz compinit && compinit -i
fi
compdef _trainer trainer
"""
_FISH = r"""# Tab completion of trainer in fish.
function __trainer_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l plain (string unescape -- $word 2>/dev/null)
    set -q plain[1]; and set word $plain
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    command $program -sc query=fish -- $words "$word" 2>/dev/null
end
complete -c trainer -f -a '(__trainer_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_MARK = "# tab completion of trainer"


def installed(shell: str) -> str:
    """Install the script of a shell for the user, and say what was done.

    Raises:
        StorageError: A file cannot be written.
    """
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    try:
        if shell == "fish":  # which looks there by itself
            script = _write(config / "fish" / "completions" / "trainer.fish", shell)
            return f"tab completion for fish: {script}; it is there at once"
        script = _write(data / "trainer" / f"completion.{shell}", shell)
        start = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
        _add(start, f"[ -r {quoted(script)} ] && . {quoted(script)}  {_MARK}")
    except OSError as error:
        raise StorageError(f"cannot write {error.filename}: {error.strerror}", _by_hand(shell)) from error
    return f"tab completion for {shell}: {script}, which {start} reads; open a new terminal, or: . {quoted(script)}"


def _write(file: Path, shell: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, SCRIPTS[shell])
    return file


def _add(file: Path, line: str) -> None:
    """Add a line to a file that a shell begins with, if it is not there yet; what is there stays as it is."""
    before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
    if line not in before.splitlines():
        with file.open("a", encoding="utf-8") as opened:
            opened.write("\n" * (before != "" and not before.endswith("\n")) + f"{line}\n")


def _by_hand(shell: str) -> str:
    return f"or let your shell read what this prints: trainer completion {shell}"
