"""The configs that may be chosen in a group, and what their files say of them."""

from pathlib import Path

from trainer.config.composition import CONFIGS, group_choices

_LONGEST = 2**16  # bytes: what stands on top of a file is enough


def file_of(group: str, choice: str) -> Path | None:
    """The file of a choice: the user's own goes before ours. None: there is no such choice."""
    if choice not in group_choices(group):
        return None
    files = [folder / group / f"{choice}.yaml" for folder in (Path("configs"), CONFIGS)]
    return next((file for file in files if file.is_file()), None)


def called(file: Path) -> str:
    """A file of configs as it lies from here; one of ours by what the documentation calls it."""
    if file.is_relative_to(CONFIGS):
        return f"trainer's configs/{file.relative_to(CONFIGS)}"
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def about(group: str, choice: str) -> list[str]:
    """The comment on top of the file of a choice, line by line; nothing where there is none, or it cannot be read."""
    file = file_of(group, choice)
    if file is None:
        return []
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            lines = opened.read(_LONGEST).splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            found.append(line.removeprefix("#").removeprefix(" ").rstrip())
    return found


def summary(group: str, choice: str) -> str:
    """The first sentence of that comment."""
    text = " ".join(" ".join(about(group, choice)).split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]
