"""Hydra's side of a config: where the files are found, how they are composed, and what Hydra's complaints mean."""

import copy
import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config import registry, synonyms
from trainer.config.choices import CONFIGS as CONFIGS
from trainer.config.choices import GIVEN
from trainer.config.choices import group_choices as group_choices
from trainer.config.choices import ours as ours
from trainer.system.errors import ConfigError, did_you_mean, first_line, listed

# Parts of Hydra's own config that nothing here uses: each would be one more file to read and merge.
_UNUSED = ("launcher", "sweeper", "output", "help", "hydra_help", "job_logging", "hydra_logging", "env")

# How the complaints begin that Hydra, or Python within Hydra, has no class of its own for: of `model=null`, of a number
# with thousands of digits in a file.
_OF_HYDRA = ("Config group override", "Exceeds the limit")


_given: dict[str, dict[str, Any]] = {}


def give(content: dict[str, Any]) -> None:
    """Let the config `GIVEN` be of this content, which may have `defaults`."""
    _given[GIVEN] = content


@functools.cache  # Hydra keeps what it was told for the whole process
def register() -> None:
    """Tell Hydra of the user's `./configs`, and of the defaults that are declared in the dataclasses."""
    from hydra.core.object_type import ObjectType
    from hydra.core.plugins import Plugins
    from hydra.plugins.config_source import ConfigResult, ConfigSource
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class Places(SearchPathPlugin):
        """The user's own `./configs` is searched before ours, and the declared defaults last."""

        def manipulate_search_path(self, search_path: Any) -> None:
            local = Path("configs").absolute()
            if local.is_dir() and local.resolve() != CONFIGS.resolve():
                search_path.prepend("local", f"file://{local}")
            search_path.append("declared", "trainer://")

    class Declared(ConfigSource):
        """The defaults of each dataclass under its name: a config file begins with `/LeNet@_here_`, say."""

        @staticmethod
        def scheme() -> str:
            return "trainer"

        def load_config(self, config_path: str) -> ConfigResult:
            name = config_path.removesuffix(".yaml")
            config = OmegaConf.create(_given.get(name) or registry.defaults(registry.declared()[name]))
            return ConfigResult(self.provider, f"trainer://{name}", config, {"package": None})

        def available(self) -> bool:
            return True

        def is_group(self, config_path: str) -> bool:
            return config_path == ""

        def is_config(self, config_path: str) -> bool:
            return "/" not in config_path and config_path.removesuffix(".yaml") in {**_given, **registry.declared()}

        def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
            return [] if config_path or results_filter is ObjectType.GROUP else sorted(registry.declared())

    for plugin in (Places, Declared):
        Plugins.instance().register(plugin)


@contextmanager
def ready(directory: Path = CONFIGS) -> Iterator[None]:
    """Within the block configs are composed from the files in `directory`, and in the user's `./configs`."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    register()
    others = GlobalHydra.instance().hydra  # of a program that uses Hydra itself, and trainer in it
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(directory), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = others


@contextmanager
def forgotten() -> Iterator[None]:
    """After the block Hydra knows of no config that was composed in it: a program may have one of its own."""
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def compose(name: str, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The config `name` with the overrides, in Hydra's grammar, and the choice in each group.

    Raises:
        ConfigError: A choice does not exist, or an override or a file cannot be read.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    unused = [f"~hydra/{part}" for part in _UNUSED if not any(f"hydra/{part}" in word for word in overrides)]
    with explained():
        whole = hydra.compose(name, [*unused, *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(whole)  # for `${hydra:runtime.choices.model}` and the like
    choices = {str(group): str(choice) for group, choice in whole.hydra.runtime.choices.items()}
    cfg = copy.deepcopy(whole)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    return cfg, choices


@contextmanager
def explained() -> Iterator[None]:
    """Raise Hydra's and OmegaConf's complaints about what the user typed as a `ConfigError`."""
    try:
        yield
    except Exception as error:
        explanation = _explanation(error)
        if explanation is None:  # a bug
            raise
        raise explanation from error


def _nearest(group: str, choice: str, known: list[str]) -> str:
    """What to type in the place of a choice that a group does not have."""
    if group == "model" and synonyms.is_network(choice):
        return (
            f"a network of torchvision is model=torchvision model.arch={choice}, one of timm model=timm model.arch=..."
        )
    if group == "model" and choice.endswith((".pt", ".pth", ".safetensors")):
        return f"a file of weights is one to start from: from={choice}"
    if choice.endswith(".py") or Path(f"{choice}.py").is_file():
        name = Path(choice).stem
        return (
            f"one of your own is a file configs/{group.partition('/')[0]}/{name}.yaml that says: _target_: {name}.CLASS"
        )
    more = {"model": "a network of torchvision is model=torchvision model.arch=NAME"}
    more |= dict.fromkeys(("loss", "scheduler", "optim"), f"or write your own: trainer new {group} {choice}")
    all_of_them = f"choose from: {listed(sorted(known))}; {more[group]}" if group in more else ""
    return did_you_mean(choice, known, all_of_them)


def _explanation(error: Exception) -> ConfigError | None:
    import yaml
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        known = [str(o) for o in error.options or []]
        shown = f"{group}={choice}" if group else choice
        return ConfigError(f"{shown}: no such config", _nearest(group, choice, known))
    if isinstance(error, OverrideParseException):
        return ConfigError(
            f"cannot read '{error.override.lstrip('+')}'",
            "the functions are choice(...), range(...), interval(...) and others of Hydra's"
            if re.search(r"=\w+\(", error.override)
            else "quote values with special characters: 'key=\"a, b\"'",
        )
    if isinstance(error, OSError):  # a file that cannot be read, or a name that no file can have
        return ConfigError(f"{error.filename}: {error.strerror}")
    if isinstance(error, RecursionError):
        return ConfigError("a config has sections in sections, too deep to be read")
    if isinstance(error, ValueError) and str(error).startswith(_OF_HYDRA):
        return ConfigError(first_line(error))
    if isinstance(error, yaml.YAMLError):
        where = getattr(error, "problem_mark", None)
        at = f"{where.name}, line {where.line + 1}: " if where else ""
        return ConfigError(f"{at}not valid YAML", str(getattr(error, "problem", "") or ""))
    if isinstance(error, HydraException | OmegaConfBaseException):
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        return ConfigError(first_line(cause))
    return None
