"""The jobs of a sweep as one model: the mean of their probabilities or, in regression, of their predictions."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.data.digests import digests
from trainer.engine import calibration
from trainer.engine.evaluator import evaluate
from trainer.engine.metrics import Evaluation
from trainer.engine.outcome import Outcome
from trainer.run.evaluating import Evaluated
from trainer.run.jobs import Job, differing, jobs_of
from trainer.run.outcome.leaving import leave_evaluation
from trainer.run.outcome.suspects import Folds, of_splits
from trainer.run.subject import subject
from trainer.show import classes, values
from trainer.show.report import Facts, Report
from trainer.system.errors import RunError
from trainer.system.shown import counted

Load = Callable[[str, Evaluated | None], Evaluated]

SHOWN = ("loss", "accuracy", "mae", "r2")  # the metrics of the table


class Answers:
    """What a model says of each sample that it is evaluated on."""

    def __init__(self, model: Evaluated) -> None:
        self.evaluator, self.data = model.evaluator, model.data
        self.batches = model.evaluator.batches(model.split)
        self.outcome = model.evaluator.outcome(model.split)
        self.samples = model.samples

    @property
    def likely(self) -> Tensor:
        """Probabilities (N, classes), or predictions (N, columns) in the target's own units, in double precision."""
        return self.outcome.probabilities if self.data.classes is not None else self.outcome.outputs

    def together(self, likely: Tensor) -> Outcome:
        """The outcome of a model that would say what is `likely`, by the likeliest classes."""
        given, loss = iter(torch.split(self._as_outputs(likely), self.batches.batch_size)), self.evaluator.loss
        device = self.evaluator.compute.device
        metric = replace(self.evaluator, calibration=calibration.NONE).metric()
        (found,) = evaluate(lambda _: next(given).to(device), self.batches, loss.function, loss.mean, metric)
        outputs = likely.log() if self.data.classes is not None else likely
        return Outcome(self.outcome.split, self.data, self.samples, outputs, found)

    def _as_outputs(self, likely: Tensor) -> Tensor:
        """Outputs that a model would have to give for `likely` to be what it says."""
        if self.data.classes is not None:
            return likely.log()
        if self.data.target_mean is None or self.data.target_std is None:
            return likely
        mean, std = (torch.tensor(v, dtype=torch.float64) for v in (self.data.target_mean, self.data.target_std))
        return (likely - mean) / std

    def are_of(self, other: "Answers") -> bool:
        """Whether they are of the same samples. A table may be written in other features for each model."""
        one, its = self.samples, other.samples
        if self.data.classes != other.data.classes or not torch.equal(one.targets, its.targets):
            return False
        return not self.data.is_image or torch.equal(digests(one), digests(its))


def run(load: Load, sweep: Path, screen: Report, best: int | None, out: Path | None) -> dict[str, Any]:
    """Evaluate each job of a sweep, and the mean of what they say, on a split that is the same for all.

    `load` gives the model of a job, beside that of the job before it. Tables and pictures of that mean are left in the
    folder `out`, if that is given.

    Raises:
        UserError: There are none, or they have no such split in common.
        StorageError: The folder cannot be written to.
    """
    jobs, models = jobs_of(sweep, best), _Models(Folds() if out is not None else None)
    for job in screen.track(jobs, len(jobs), "evaluating jobs"):
        models.add(job, load(str(job.directory), models.last))
    return models.show(sweep, screen, out)


class _Models:
    """The models that have been evaluated so far, as one."""

    def __init__(self, folds: Folds | None) -> None:
        self.folds = folds  # what each says of its own validation split, if that is asked for
        self.last: Evaluated | None = None
        self.jobs: list[Job] = []
        self.evaluations: list[Evaluation] = []
        self.guesses: list[Tensor] = []  # classes (N,), or predictions (N, columns)
        self.notes: dict[str, None] = {}
        self.known: dict[tuple[str, bool], list[str]] = {}  # what is said of samples that jobs were trained on

    def add(self, job: Job, model: Evaluated) -> None:
        """Evaluate one more.

        Raises:
            RunError: It has another split than the first.
        """
        answers = Answers(model)
        if not self.jobs:
            self.first, self.sum = answers, torch.zeros_like(answers.likely)
        elif not answers.are_of(self.first):
            raise RunError(
                f"{job.directory} and {self.jobs[0].directory} have different samples in the {model.split} split",
                "a sweep over folds has its test split in common: split=test; or evaluate its jobs one by one"
                if model.split != "test"
                else "evaluate them one by one, or name one split of one data set: data.split_seed=0, say",
            )
        likely = answers.likely
        self.sum += likely
        self.guesses.append(likely.argmax(1) if answers.data.classes is not None else likely)
        self.jobs.append(job)
        self.evaluations.append(answers.outcome.evaluation)
        if self.folds is not None and answers.data.val is not None and answers.data.classes is not None:
            self.folds.add(model.evaluator.outcome("val"))
        self.notes |= dict.fromkeys(model.notes())
        self.last, known = model, model.known()
        if known[0]:
            self.known.setdefault(known, []).append(job.directory.name)

    def show(self, sweep: Path, screen: Report, out: Path | None) -> dict[str, Any]:
        """Show what each and all together come to, and leave the latter in `out`; the metrics of all together."""
        assert self.last is not None
        data, count = self.first.data, len(self.jobs)
        outcome = self.first.together(self.sum / count)
        together = outcome.evaluation
        mean = {name: sum(e.metrics[name] for e in self.evaluations) / count for name in together.metrics}
        keys = differing(self.jobs)
        names = [name for name in (*SHOWN, *self.last.config.own.get("metric", {})) if name in together.metrics]
        rows = [
            [job.directory.name, *(job.words.get(key, "") for key in keys), *_cells(found.metrics, names)]
            for job, found in zip(self.jobs, self.evaluations, strict=True)
        ]
        rows.append(["mean", *("" for _ in keys), *_cells(mean, names)])
        rows.append(["together", *("" for _ in keys), *_cells(together.metrics, names)])
        screen.table(["job", *keys, *names], rows)
        what = "probabilities" if data.classes is not None else "predictions"
        said: dict[bool, list[str]] = {True: [], False: []}
        for (line, loudly), jobs in self.known.items():
            said[loudly].append(f"{line} (job {', '.join(jobs)})")
        alike = "; about as many for the other jobs" if len(said[False]) > 1 else ""
        facts = [
            ("sweep", str(sweep)),
            ("data", f"{data.name}, {self.last.called}, {len(self.first.samples):,} samples"),
            ("device", values.device(self.first.evaluator.compute, self.first.evaluator.ranks)),
            ("mean job", values.metrics(mean)),
            ("together", f"{values.metrics(together.metrics)} (the mean of {count} jobs' {what})"),
            *([("agreement", self._agreement())] if count > 1 else []),
            *(("note", line) for line in self.notes),
            *(("note", f"{line}{alike}") for line in said[False][:1]),
            *(self._left(sweep, outcome, out, screen) if out is not None else []),
        ]
        screen.panel("eval", facts)
        if data.classes is not None:
            classes.accuracies(screen, data.classes, together)
        for line in said[True]:
            screen.warn(line)
        return {"metrics": together.named(self.last.split)}

    def _left(self, sweep: Path, outcome: Outcome, out: Path, screen: Report) -> Facts:
        """Leave the outcome of all together in the folder `out`; what to say of it."""
        assert self.last is not None
        held_out = self.folds.held_out() if self.folds is not None else None
        if held_out is None:
            held_out = of_splits([outcome])
        facts = {"sweep": str(sweep), "jobs": [job.directory.name for job in self.jobs], "data": outcome.data.name}
        said = subject(self.last.config, f"{counted(len(self.jobs), 'job')} together")
        return leave_evaluation(out, outcome, said, held_out, facts, screen)

    def _agreement(self) -> str:
        guesses = torch.stack(self.guesses)
        if guesses.is_floating_point():
            return f"a sample's predictions have a standard deviation of {float(guesses.std(0).mean()):.4g} on average"
        pairs = [float((a == b).double().mean()) for a, b in itertools.combinations(self.guesses, 2)]
        every = float((guesses == guesses[0]).all(0).double().mean())
        two = sum(pairs) / len(pairs)
        return f"all name the same class for {100 * every:.2f}% of the samples, two of them for {100 * two:.2f}%"


def _cells(metrics: dict[str, float], names: Sequence[str]) -> list[str]:
    return [values.metric(name, metrics[name]) for name in names]
