"""`trainer train -m`: the jobs that were asked for are composed and checked, and then run as one sweep."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from trainer.cli.arguments import Arguments, bare
from trainer.cli.jobs import Composed, Jobs
from trainer.config import registry
from trainer.config.check import check, check_name, check_sweep, converted
from trainer.config.train import Train
from trainer.run import directory as runs
from trainer.run import records
from trainer.sweeps import runner, search
from trainer.sweeps.engine import Sweep
from trainer.sweeps.plan import Asked, Listed
from trainer.system.errors import ConfigError, TrainerError, TrainingFailedError, UnknownKeyError
from trainer.system.paths import expanded

if TYPE_CHECKING:  # it needs Optuna
    from trainer.sweeps.search.trials import Search

Make = Callable[[Path], "Listed | Search"]  # the jobs of the sweep in a directory


def run(given: Arguments, words: Sequence[str], directory: Path | None) -> None:
    """Run a sweep. `words` is the whole command line after the verb; `directory` is that of a sweep being resumed.

    Raises:
        ConfigError: A mistake that every job has.
        TrainingFailedError: A job failed.
    """
    jobs = Jobs(given)
    how = check_sweep(jobs.common)
    make, top = _listed(jobs) if how["search"].name == "none" else _searched(jobs)
    if directory is not None:
        runs.check_links(directory)
    if how["sweep"].dry_run:
        Sweep(directory or top, make(directory or top), how["sweep"]).list()
        return
    runner.check(how["sweep"])
    directory = directory or runs.claim(top)
    with runs.locked(directory):
        source = make(directory)
        records.write_overrides(directory, list(words))
        ran = Sweep(directory, source, how["sweep"]).run()
    failure = source.failure(ran)
    if failure:
        raise TrainingFailedError(failure, "the table above has their reasons")


def _listed(jobs: Jobs) -> tuple[Make, Path]:
    """What makes the source of jobs that are known from the start, and the folder of the sweep's directory."""
    asked: list[Asked] = []
    cfg, known = jobs.common, None
    for words, (cfg, choices) in jobs.combinations():
        if choices is not known:  # it is the same object where the same configs were chosen
            _check_ways(words, cfg, jobs.common)
            known = choices
        asked.append(_asked(words, (cfg, choices), raising=not asked))
    return partial(Listed, asked=asked), _top(cfg)


def _check_ways(words: Sequence[str], cfg: DictConfig, common: DictConfig) -> None:
    """Refuse a job whose config, an experiment, say, chooses a search or another way to run the sweep."""
    for group in registry.OF_A_SWEEP:
        if cfg.get(group) != common.get(group):
            raise ConfigError(
                f"{' '.join(words)}: it chooses another {group} than other jobs", f"type one: {group}=..."
            )


def _searched(jobs: Jobs) -> tuple[Make, Path]:
    """The same for jobs that a search chooses; an example of them shows mistakes before it begins."""
    search.check()
    from trainer.sweeps.search import ranges
    from trainer.sweeps.search.goal import goal
    from trainer.sweeps.search.trials import Search

    def trial(words: list[str]) -> Asked:
        try:
            return _asked(words, jobs(words))
        except ConfigError as mistake:
            return Asked(bare(words), None, mistake)

    space = ranges.space(jobs.overrides)
    words = space.example()
    composed = jobs(words)
    example = _asked(words, composed)
    if example.config is None:
        assert example.mistake is not None
        raise example.mistake
    aim, base = goal(example.config), example.config
    return lambda directory: Search(directory, space, trial, base, aim), _top(composed[0])


def _top(cfg: DictConfig) -> Path:
    """The folder that the sweep's directory is in."""
    places = converted(Train, {key: cfg.get(key) for key in ("output", "name") if key in cfg}, "")
    return expanded(places.get("output", "runs")) / "sweeps" / (check_name(places.get("name")) or "sweep")


def _asked(words: Sequence[str], composed: Composed, raising: bool = False) -> Asked:
    """A job of a sweep. With a mistake of its own it fails when it is run, and the others run."""
    # How the sweep is run says nothing of its jobs.
    typed = [word for word in bare(words) if word.split("=", 1)[0].split(".")[0] not in registry.OF_A_SWEEP]
    cfg, choices = composed
    try:
        config: Any = check("train", cfg, typed, choices)
    except TrainerError as error:
        if raising and isinstance(error, UnknownKeyError):  # every job has it
            raise
        return Asked(typed, None, error)
    return Asked(typed, config)
