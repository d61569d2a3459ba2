"""The command line: which verb is run, and one handler for everything that ends a command.

Torch is not imported here before a config has been checked.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer import __version__
from trainer.cli import arguments, datapath, early, naming, no_verb, verbs
from trainer.cli.arguments import Arguments
from trainer.config import registry
from trainer.sweeps import again
from trainer.system import circumstances, seats, signals, streams
from trainer.system.colours import painted
from trainer.system.errors import ConfigError, MissingKeyError, TrainerError, interrupted, listed
from trainer.system.leaving import Leaving
from trainer.system.paths import resolved
from trainer.system.shown import LONGEST, shortened
from trainer.system.torch_first import set_aside

_VERSION = ("--version", "-V", "-v", "version")
LONGEST_HINT = 8000  # a hint may be a command with many words, to be typed again


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; without `argv`, the command that this process was started for."""
    args = list(sys.argv[1:] if argv is None else argv)
    leaving = Leaving() if argv is None else None
    with signals.answered(*signals.ENDING, for_good=argv is None) as answer, streams.prepared() as stdout:
        try:
            code = _code(args)
            answer.over = True
        except KeyboardInterrupt as error:  # at the last moment; it is the only one
            answer.over = True
            code = _show(interrupted(error))
    unwritten = stdout.lost is not None and not isinstance(stdout.lost, BrokenPipeError)
    # What a training says is in its directory, too; what other commands say is all that they do.
    code = 1 if unwritten and not code and args[:1] not in (["train"], ["resume"]) else code
    if leaving is not None:
        leaving.code = code
    return code


def _code(args: list[str]) -> int:
    try:
        return _dispatch(args)
    except TrainerError as error:
        return _show(error)
    except KeyboardInterrupt as error:
        return _show(interrupted(error))
    except Exception as error:
        if (behind := signals.interruption(error)) is not None:
            return _show(interrupted(behind))
        explained = circumstances.explained(error)
        if explained is None:
            raise
        return _show(explained)


def _show(error: TrainerError) -> int:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        streams.show_traceback(error)
    print(painted("error:", "error", sys.stderr), shortened(error.message, LONGEST, "..."), file=sys.stderr)
    if error.hint:
        print(f"  {shortened(error.hint, LONGEST_HINT, '...')}", file=sys.stderr)
    return error.exit_code


def _dispatch(args: list[str]) -> int:
    if "-sc" in args or "--shell-completion" in args:
        from trainer.cli import completion

        if found := completion.answer(args):
            print(found)
        return 0
    if not args or args[0] in ("--help", "-h"):
        print(verbs.overview())
        return 0
    if args[0] == "help":
        from trainer.cli import help as helping

        print(helping.answer(args[1:]))
        return 0
    verb, rest = args[0], args[1:]
    if verb == "completion":
        from trainer.cli import completion

        print(completion.command(rest))
        return 0
    if verb in _VERSION:
        print(f"trainer {__version__}")
        return 0
    if verb not in registry.verbs():
        raise no_verb.mistake(args)
    if any(word in ("--version", "-V") for word in rest):
        return _dispatch(["--version"])
    if rest[:1] == ["help"] or any(word in ("--help", "-h") for word in rest):
        print(verbs.help_of(verb, [word for word in rest if word not in ("--help", "-h", "help")]))
        return 0
    return _run(verb, rest)


def _run(verb: str, args: list[str], directory: Path | None = None) -> int:
    """Run a verb; `directory` is that of a sweep being resumed."""
    if verb == "resume" and args and (place := _sweep(args[0].removeprefix("run="))) is not None:
        return _run("train", again.arguments(place, args[1:]), place)
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(f"the current directory is gone: {error.strerror}", "change to another: cd DIR") from error
    given = arguments.read(verb, args)
    if given.shows:
        given.say()
        from trainer.cli import showing

        return showing.show(given)
    if given.multirun and verb == "train" and "sweep=parallel" in given.line:
        from trainer.sweeps import warm

        warm.start(given.line)  # first of all: it takes longer than everything up to the first job
    elif any(word.startswith("devices=") and word != "devices=1" for word in given.line) and seats.taken() is None:
        from trainer.run.ranks import launcher

        launcher.warm()
    from trainer.config import composition

    with composition.ready(given.folder):
        if given.multirun and verb == "train":
            from trainer.cli import sweep

            sweep.run(given, given.line, directory)
            return 0
        command = registry.command(verb)
        for config in _configs(given):
            early.check(verb, config)
            given.say()
            if early.answered(verb, config):
                continue
            command.run(config)
    return 0


def _sweep(word: str) -> Path | None:
    """The directory of the sweep that a word names; None: it names none."""
    notes: list[str] = []
    place = resolved(naming.place("resume", "run", word, notes))
    if not again.is_sweep(place):
        return None
    streams.note(*notes)
    return place


def _configs(given: Arguments) -> Iterator[Any]:
    """The checked config of a command, or those of its jobs with `-m`."""
    if given.multirun:
        from trainer.cli.jobs import Jobs

        jobs = Jobs(given)
        for job in jobs.combinations():
            cfg, choices = jobs.composed(job)
            yield checked(given.verb, cfg, arguments.bare(job.words), choices)
    else:
        yield configured(given)


def configured(given: Arguments) -> Any:
    """The checked config of a command without `-m`, where `composition.ready()`.

    Raises:
        ConfigError: It cannot be composed, or has a mistake.
    """
    from trainer.config.composition import compose

    with set_aside():
        cfg, choices = compose(given.name, given.prepared())
        return checked(given.verb, cfg, given.words, choices)


def checked(verb: str, cfg: Any, words: list[str], choices: dict[str, str]) -> Any:
    """The config of a verb from what was composed of `words`, with the `choices` in groups.

    Raises:
        ConfigError: It has a mistake.
    """
    from trainer.config.check import check
    from trainer.config.names import check_name
    from trainer.config.reopening import reopened

    if verb in registry.REOPENING:
        return reopened(verb, cfg, words)
    try:
        config = check(verb, cfg, words, choices)
    except MissingKeyError as error:
        if error.key == "data.target" and (names := datapath.columns(cfg.data.get("path"))):
            error.hint = f"say which column is to be predicted, data.target=NAME, of {listed(names)}"
        raise
    if verb in registry.TRAINING:
        check_name(config.name)
        if verb == "train" and config.search.name != "none":
            raise arguments.search_alone()
    return config
