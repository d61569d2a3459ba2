"""The configs that may be chosen in a group, where their files are, and what those say, without composing them.

OmegaConf is not imported here: completion asks at each Tab.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.config import registry

_HERE = Path(__file__).resolve().parent.parent
CONFIGS = next(p for p in (_HERE / "configs", _HERE.parent / "configs") if (p / "train.yaml").is_file())
_FOLDERS = (Path("configs"), CONFIGS)  # the user's own goes first
GIVEN = "given"  # the name of a config that comes from elsewhere than a folder of configs
_DEEPEST = 5  # choices of the user's own that begin with another choice
_LONGEST = 2**16  # bytes: what stands on top of a file is enough


def group_choices(group: str) -> list[str]:
    """The choices of a config group: ours and those in `./configs`."""
    return sorted({path.stem for folder in _FOLDERS for path in (folder / group).glob("*.yaml")})


def ours(group: str) -> list[str]:
    """Our choices of a config group."""
    return sorted(p.stem for p in (CONFIGS / group).glob("*.yaml"))


def file_of(group: str, choice: str) -> Path | None:
    """The file of a choice: the user's own goes before ours. None: there is no such choice."""
    if choice not in group_choices(group):
        return None
    return next((file for folder in _FOLDERS if (file := folder / group / f"{choice}.yaml").is_file()), None)


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


def sections(verb: str, words: Sequence[str]) -> dict[str, str]:
    """The name of the section that is chosen for each group, by default or by `words`, as far as files tell at once.

    Nothing is composed, for that takes longer than people wait for a Tab. It is a guess: a choice that takes over
    another one by `override` in a file of the user's own, say, is not seen.
    """
    chosen: dict[str, str] = {}
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    _take_primary(verb, chosen)
    if "experiment" in typed and (file := file_of("experiment", typed["experiment"])) is not None:
        _take_defaults(file, chosen)
    chosen |= {group: choice for group, choice in typed.items() if group in registry.GROUPS}
    found = {group: _section(group, choice) for group, choice in chosen.items()}
    return {group: name for group, name in found.items() if name is not None}


def defaults(verb: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    """What the config of a verb is composed to when nothing is typed, as plain values, and the choice in each group.

    Composing takes ten times as long. None where there are configs of the user's own, which may say anything.
    """
    if Path("configs").is_dir() and Path("configs").resolve() != CONFIGS.resolve():
        return None
    values: dict[str, Any] = {}
    choices: dict[str, str] = {}
    content = _read(CONFIGS / f"{verb}.yaml")
    for entry in content.pop("defaults"):
        if isinstance(entry, dict):
            ((group, choice),) = entry.items()
            choices[group] = str(choice)
            if choice is not None:
                own = {key: value for key, value in _values(group, choice).items() if key != "defaults"}
                values[group] = _merged(registry.defaults(declaration(group, choice)), own)
        elif entry in registry.declared():
            values = _merged(values, registry.defaults(registry.declared()[entry]))
        elif entry != "_self_":
            above = defaults(entry)
            assert above is not None
            values, choices = _merged(values, above[0]), choices | above[1]
    return _merged(values, content), choices


def _merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Nested values with `others` in their place."""
    found = dict(values)
    for key, value in others.items():
        before = found.get(key)
        found[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def own_keys(group: str, words: Sequence[str]) -> list[str]:
    """The keys of a class of the user's own that is chosen for a group by one of the `words`."""
    typed = dict(word.split("=", 1) for word in words if "=" in word)
    values = _values(group, typed.get(group, ""))
    return [str(key) for key in values if key not in ("defaults", "_target_")] if "_target_" in values else []


def declaration(group: str, choice: str) -> Any:
    """The dataclass of the section that a choice stands for; None where it has none, or its file does not say."""
    for _ in range(_DEEPEST):
        values = _values(group, choice)
        if (section := registry.section(group, values.get("name"))) is not None:
            return section
        first = next((entry for entry in values.get("defaults") or [] if isinstance(entry, str)), "_self_")
        if first.startswith("/"):
            return registry.declared().get(first.removeprefix("/").partition("@")[0])
        choice = first  # another choice of the group, which it begins with
    return None


def _section(group: str, choice: str) -> str | None:
    """The name of that section; of one of the user's own its class."""
    if isinstance(target := _values(group, choice).get("_target_"), str):
        return target
    cls = declaration(group, choice)
    return None if cls is None else str(registry.defaults(cls).get("name"))


def _values(group: str, choice: str) -> dict[str, Any]:
    """What the file of a choice holds; nothing where there is none."""
    file = file_of(group, choice)
    return {} if file is None else _read(file)


def _take_primary(name: str, chosen: dict[str, str], depth: int = 0) -> None:
    """Take what a config that is no choice in a group says, `train`, say, and what the one says that it begins with."""
    file = next((path for folder in _FOLDERS if (path := folder / f"{name}.yaml").is_file()), None)
    if file is None or depth > _DEEPEST:
        return
    for entry in _read(file).get("defaults") or []:
        if isinstance(entry, str) and entry not in ("_self_", name):
            _take_primary(entry, chosen, depth + 1)
    _take_defaults(file, chosen)


def _take_defaults(file: Path, chosen: dict[str, str]) -> None:
    entries = _read(file).get("defaults")
    for entry in entries if isinstance(entries, list) else []:
        for key, choice in entry.items() if isinstance(entry, dict) else []:
            group = str(key).removeprefix("override ").strip().removeprefix("/")
            if group in registry.GROUPS and isinstance(choice, str):
                chosen[group] = choice


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
