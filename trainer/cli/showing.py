"""What is shown and not run: `--cfg`, `--info`, `--hydra-help`, and the scripts that install tab completion."""

import math
import sys
from collections.abc import Sequence

import yaml
from omegaconf import Container, DictConfig, OmegaConf

from trainer.cli.arguments import Arguments
from trainer.config.composition import CONFIGS, compose, explained, ready, register
from trainer.system.errors import ConfigError
from trainer.system.shown import printable


def show(given: Arguments) -> int:
    """Show what the flags ask for; the exit code.

    Raises:
        ConfigError: The config cannot be composed.
    """
    flags = given.flags
    overrides = given.prepared()
    if "--hydra-help" not in flags:
        with ready():
            cfg, _ = compose(given.name, overrides)
        if flags.get("--cfg") == "job":
            _print(cfg, flags.get("--package", "_global_"), "--resolve" in flags)
            return 0
    words = [word for flag, value in flags.items() for word in (flag, value) if word and flag != "--config-dir"]
    return by_hydra(given.verb, [*words, "hydra/job_logging=none", "hydra/hydra_logging=none", *overrides])


def _print(cfg: DictConfig, package: str, resolve: bool) -> None:
    """Print a config as Hydra does."""
    part = cfg if package == "_global_" else OmegaConf.select(cfg, package)
    if part is None:
        raise ConfigError(f"--package {package}: the config has no such part", "leave it out to see all")
    if not isinstance(part, Container):
        print(printable(str(part)))
        return
    if resolve:
        with explained():
            OmegaConf.resolve(part)
    if part is not cfg:
        print(f"# @package {package}")
    text = OmegaConf.to_yaml(part)
    if any(printable(line) != line for line in text.split("\n")):  # a config may come with somebody's files
        text = yaml.dump(OmegaConf.to_container(part), sort_keys=False, width=math.inf)
    print(text, end="")


def by_hydra(verb: str, args: Sequence[str]) -> int:
    """Let `hydra.main` show something. It takes its arguments from `sys.argv` and from nowhere else."""
    import hydra

    register()
    before, sys.argv = sys.argv, ["trainer", *args]
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=verb)(_nothing)()
    except SystemExit as end:  # after --hydra-help
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def _nothing(cfg: object) -> None:
    """What `hydra.main` is to run: it only shows."""
