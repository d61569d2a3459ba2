"""Hydra: where configs are found, and what its complaints mean."""

import functools
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from trainer.config import registry
from trainer.system.errors import ConfigError, did_you_mean, first_line

_HERE = Path(__file__).resolve().parent.parent
CONFIGS = next(p for p in (_HERE / "configs", _HERE.parent / "configs") if (p / "train.yaml").is_file())


@functools.cache  # Hydra keeps what it was told for the whole process
def register() -> None:
    """Tell Hydra our declared defaults (configs start from `/ClassName@_here_`) and the user's `./configs`."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    store = ConfigStore.instance()
    declared = [cls for group in registry.GROUPS for cls in registry.sections(group).values()]
    declared += [registry.of_verb(verb) for verb in registry.verbs()]
    for cls in [*declared, *filter(None, map(registry.shared, registry.GROUPS))]:
        store.store(name=cls.__name__, node=registry.defaults(cls))
    # Hydra copies the places that it looks in whenever it composes; all of our defaults would be a fourth of that.
    ConfigStore.__deepcopy__ = lambda self, memo: self  # type: ignore[attr-defined]

    class LocalConfigs(SearchPathPlugin):
        """The user's own `./configs` is searched before ours."""

        def manipulate_search_path(self, search_path: Any) -> None:
            local = Path("configs").absolute()
            if local.is_dir() and local.resolve() != CONFIGS.resolve():
                search_path.prepend("local", f"file://{local}")

    Plugins.instance().register(LocalConfigs)


def group_choices(group: str) -> list[str]:
    """The choices of a config group: ours and those in `./configs`."""
    folders = [CONFIGS / group, Path("configs") / group]
    return sorted({p.stem for folder in folders for p in folder.glob("*.yaml")})


def explain(error: Exception) -> ConfigError | None:
    """Hydra's and OmegaConf's complaints about what the user typed, in one line and a hint; None: a bug."""
    import yaml
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        known = [str(o) for o in error.options or []]
        shown = f"{group}={choice}" if group else choice
        return ConfigError(f"{shown}: no such config", did_you_mean(choice, known))
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"cannot read '{error.override.lstrip('+')}'",
            "quote values with special characters: 'key=\"a, b\"'",
        )
    if isinstance(error, yaml.YAMLError):
        where = getattr(error, "problem_mark", None)
        at = f"{where.name}, line {where.line + 1}: " if where else ""
        return ConfigError(f"{at}not valid YAML", str(getattr(error, "problem", "") or ""))
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        return ConfigError(first_line(cause))
    return None
