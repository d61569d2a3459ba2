"""`trainer train -m`: the jobs that were asked for are composed and checked, and then run as one sweep."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from trainer.cli import early
from trainer.cli.arguments import Arguments, bare
from trainer.cli.jobs import Job, Jobs
from trainer.config import registry
from trainer.config.alike import Alike
from trainer.config.check import check, check_sweep, converted
from trainer.config.custom import announced
from trainer.config.names import check_name
from trainer.config.train import Train
from trainer.engine import own_measures
from trainer.run import directory as runs
from trainer.run import records
from trainer.show.report import Report
from trainer.sweeps import runner, search
from trainer.sweeps.engine import Sweep
from trainer.sweeps.plan import Asked, Listed
from trainer.system.errors import ConfigError, TrainerError, TrainingFailedError, UnknownKeyError, UserError
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
    own_measures.declare()
    jobs = Jobs(given)
    how = check_sweep(jobs.common)
    searches = how["search"].name != "none"
    asking = Asking(jobs, in_one_way=not searches, whole=given.whole)
    make, top = _searched(jobs, asking) if searches else _listed(jobs, asking)
    if how["sweep"].dry_run:
        if directory is not None:
            runs.check_links(directory)
        Sweep(directory or top, make(directory or top), how["sweep"]).list()
        return
    runner.check(how["sweep"])
    given.say()
    asking.say_what_is_executed()
    directory = directory or runs.claim(top)
    with runs.locked(directory):
        source = make(directory)
        records.write_overrides(directory, list(words))
        ran = Sweep(directory, source, how["sweep"]).run()
    failure = source.failure(ran)
    if failure:
        raise TrainingFailedError(failure, "the table above has their reasons")


def _listed(jobs: Jobs, asking: "Asking") -> tuple[Make, Path]:
    """What makes the source of jobs that are known from the start, and the folder of the sweep's directory."""
    each = map(asking, jobs.combinations())
    asked = list(Report().track(each, jobs.count, "composing jobs", many=1000, patience=0.5))
    _check_early(asked)
    return partial(Listed, asked=asked), _top(jobs.common if asking.last is None else jobs.composed(asking.last)[0])


def _check_early(asked: Sequence[Asked]) -> None:
    """Check before anything is started what no job can do without: its device, its data, the run it begins with.

    Raises:
        UserError: No job has it. Otherwise those that do are run, and the others fail.
    """
    first: UserError | None = None
    for job in asked:
        try:
            if job.config is None:
                return
            early.check("train", job.config)
        except UserError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


# What a job is told where it is left to the data: settings are not to be ranked by the test split.
HOLDING_OUT = "data.val_fraction=0.1"


class Asking:
    """Checks one job after the other: as a whole, or, where one like it has been checked, what differs from that."""

    def __init__(self, jobs: Jobs, in_one_way: bool = False, whole: Sequence[str] = ()) -> None:
        self.jobs, self.in_one_way, self.whole = jobs, in_one_way, whole
        self.last: Job | None = None
        self._alike: dict[tuple[str, ...], Alike] = {}  # by the words that choose configs
        self._known: set[tuple[str, ...]] = set()
        self._held_out: set[tuple[str, ...]] = set()  # those whose jobs are told to hold a part out
        self._code: dict[str, None] = {}

    def __call__(self, job: Job) -> Asked:
        """The job as it was asked for. With a mistake of its own it fails when it is run, and the others run.

        Raises:
            ConfigError: It cannot be composed, or every job has the mistake.
        """
        # How the sweep is run says nothing of its jobs.
        typed = [word for word in bare(job.words) if word.split("=", 1)[0].split(".")[0] not in registry.OF_A_SWEEP]
        typed = [*self.whole, *typed]
        typed += [HOLDING_OUT] if job.choosing in self._held_out else []
        first, self.last = self.last is None, job
        like_another = self._like_another(job, typed)
        if like_another is not None:
            return Asked(typed, like_another)
        cfg, choices = self.jobs.composed(job)
        if self.in_one_way and job.choosing not in self._known:
            _check_ways(job.words, cfg, self.jobs.common)
            self._known.add(job.choosing)
        try:
            config: Train = check("train", cfg, typed, choices)
        except TrainerError as error:
            if first and isinstance(error, UnknownKeyError):  # every job has it
                raise
            return Asked(typed, None, error)
        if getattr(config.samples, "val_fraction", None) == "auto" and config.samples.folds is None:
            self._held_out.add(job.choosing)
            key, _, fraction = HOLDING_OUT.partition("=")
            config.change(key, float(fraction))
            typed.append(HOLDING_OUT)
        self._code |= dict.fromkeys(announced(config))
        self._alike.setdefault(job.choosing, Alike(config, [key for key, _ in job.values]))
        return Asked(typed, config)

    def say_what_is_executed(self) -> None:
        """Say which code of the user's own the jobs have; each job says it in its own log, too."""
        for line in self._code:
            Report().say(line)

    def _like_another(self, job: Job, typed: list[str]) -> Train | None:
        alike = self._alike.get(job.choosing)
        try:
            return alike(dict(job.values), typed) if alike is not None else None
        except ConfigError:
            return None  # only the check of the whole says which of its mistakes comes first


def _check_ways(words: Sequence[str], cfg: DictConfig, common: DictConfig) -> None:
    """Refuse a job whose config, an experiment, say, chooses a search or another way to run the sweep."""
    for group in registry.OF_A_SWEEP:
        if cfg.get(group) != common.get(group):
            raise ConfigError(
                f"{' '.join(words)}: it chooses another {group} than other jobs", f"type one: {group}=..."
            )


def _searched(jobs: Jobs, asking: "Asking") -> tuple[Make, Path]:
    """The same for jobs that a search chooses; an example of them shows mistakes before it begins."""
    search.check()
    from trainer.sweeps.search import ranges
    from trainer.sweeps.search.goal import goal
    from trainer.sweeps.search.trials import Search

    def trial(words: list[str]) -> Asked:
        try:
            return asking(jobs.job(words))
        except ConfigError as mistake:
            return Asked(bare(words), None, mistake)

    space = ranges.space(jobs.overrides)
    job = jobs.job(space.example())
    example = asking(job)
    if example.config is None:
        assert example.mistake is not None
        raise example.mistake
    aim, base = goal(example.config), example.config
    return lambda directory: Search(directory, space, trial, base, aim), _top(jobs.composed(job)[0])


def _top(cfg: DictConfig) -> Path:
    """The folder that the sweep's directory is in."""
    places = converted(Train, {key: cfg.get(key) for key in ("output", "name") if key in cfg}, "")
    return expanded(places.get("output", "runs")) / "sweeps" / (check_name(places.get("name")) or "sweep")
