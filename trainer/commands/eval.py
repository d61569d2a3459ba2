"""`trainer eval`: the metrics of a checkpoint on one split, with tables and pictures of it; and its calibration."""

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key, ranks
from trainer.system.errors import ConfigError
from trainer.system.seats import several

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trainer.engine.ranks import Ranks
    from trainer.run.evaluating import Evaluated
    from trainer.show.report import Facts, Report

SUMMARY = "metrics of a checkpoint, or of a sweep's jobs together"
EXAMPLES = """
trainer eval runs/lenet_digits/2026-01-31_12-00-00
trainer eval RUN out=evaluation                           tables and pictures: mistakes first, suspected labels
trainer eval RUN eval.calibrate=temperature               honest probabilities, which predict and export use
trainer eval RUN data.path=others.csv                     all of another file
trainer eval runs/sweeps/sweep/2026-01-31_12-00-00        the mean of its jobs' answers
trainer eval cifar_net.pth model=lenet5 data=cifar10      a bare state_dict
"""


@dataclass
class EvalOptions:
    """Which jobs `trainer eval` takes, what it lets pass, and what it fits."""

    allow_nonfinite: bool = key(False, "also evaluate weights that are not finite, with a warning")
    best: int | None = key(None, "of a sweep, the N jobs that are best by their objective; null: all", minimum=1)
    calibrate: str | None = key(
        None,
        "fit on the validation split, and keep in calibrated.pt: the temperature of the probabilities; of two classes "
        "the threshold with the best F1; or both",
        choices=("temperature", "threshold", "both"),
    )


@dataclass
class Eval(Config):
    """`trainer eval`: metrics of a checkpoint on one split."""

    NAMES = ("metric",)
    ckpt: str = key(
        MISSING, "a run directory, a checkpoint file, or the directory of a sweep", text=True, positional=True
    )
    split: str = key(
        "auto",
        "the split to evaluate; all: every sample; auto: all of a file or folder that the model was not trained on, "
        "and test otherwise",
        choices=("auto", "test", "val", "train", "all"),
    )
    out: str | None = key(
        None,
        "a folder for tables and pictures: a new one, or that of an earlier evaluation, which is replaced",
        text=True,
    )
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "other data than the checkpoint was trained on: the group `data`")
    metrics: list[str] = key(
        [], "metrics of your own, from ./configs/metric, beside those of the training", text=True, kind="metric"
    )
    device: str = key("auto", "auto, cpu, cuda, cuda:N or mps")
    devices: int | str = ranks("the samples")
    precision: str = key("float32", "precision of the evaluation", choices=("float32", "float64", "tf32", "bfloat16"))
    eval: EvalOptions = field(
        default_factory=EvalOptions, metadata={"doc": "which jobs, what is let pass, and what is fitted"}
    )


def run(config: Eval) -> dict[str, Any]:
    """Show loss and metrics, and for classes the accuracy of each; of a sweep those of each job and of all together.

    Returns:
        The metrics by names like `test/loss`.

    Raises:
        UserError: There is no such checkpoint, or it does not fit the model or the data; or `out=` is no folder for it.
        StorageError: A file cannot be written.
    """
    from trainer.show.beginning import beginning

    split = "" if config.split == "auto" else f", split {config.split}"
    asked = f"{config.ckpt}{split}, device {config.device}"
    if several(config.devices):
        from trainer.run.ranks import spread

        found: dict[str, Any] | None = spread.run(Evaluation(config), ("eval", asked))
        return found or {}  # not on another rank than the first
    with beginning("eval", asked) as screen:
        from trainer.engine.ranks import ALONE
        from trainer.run.ranks import evaluation  # noqa: F401 -- and all that it needs

    return _evaluated(config, screen, ALONE)


@dataclass
class Evaluation:
    """The evaluation as the task of several ranks."""

    config: Eval
    batch = None

    def lead(self, ranks: "Ranks", screen: "Report", at: "Callable[[Path], None]") -> dict[str, Any]:
        """Show and write what all have found; the metrics."""
        return _evaluated(self.config, screen, ranks)

    def follow(self, ranks: "Ranks") -> None:
        """Answer a share of the batches."""
        from trainer.engine import device
        from trainer.run.ranks import evaluation

        config = self.config
        compute = device.choose(config.device, config.precision)
        evaluation.follow(config, config.split, compute, ranks, config.eval.allow_nonfinite)


def _evaluated(config: Eval, screen: "Report", ranks: "Ranks") -> dict[str, Any]:
    from trainer.engine import device
    from trainer.run import ensemble, jobs
    from trainer.run.evaluating import Evaluated
    from trainer.run.outcome import calibrating, folder
    from trainer.run.ranks.evaluation import Leading
    from trainer.system.paths import expanded

    compute = device.choose(config.device, config.precision)
    nonfinite, calibrate = config.eval.allow_nonfinite, config.eval.calibrate
    out = folder.usable(config.out) if config.out is not None else None
    leading = Leading(ranks)

    def load(ckpt: str, beside: "Evaluated | None" = None) -> Evaluated:
        leading.begin(ckpt)
        own = copy.deepcopy(config)
        model = Evaluated(own, ckpt, config.split, compute, screen, nonfinite, beside)
        leading.share(model.evaluator)
        return model

    if jobs.is_sweep(config.ckpt):
        if calibrate is not None:
            raise ConfigError(f"eval.calibrate={calibrate}: {config.ckpt} is a sweep", "calibrate its jobs one by one")
        found = ensemble.run(load, expanded(config.ckpt), screen, config.eval.best, out)
    else:
        model = load(config.ckpt)
        if calibrate is not None:
            calibrating.calibrate(model, calibrate, screen)
        found = _show(model, screen, out)
    leading.end()
    return found


def _show(model: "Evaluated", screen: "Report", out: "Path | None") -> dict[str, Any]:
    from trainer.engine import bootstrap
    from trainer.run import closing, judgement
    from trainer.run.outcome import leaving
    from trainer.show import classes, values

    samples = model.samples
    left: Facts = []
    if out is None:
        evaluation = model.evaluator(model.split)
    else:
        evaluation, left = leaving.evaluated(model, out, screen)
    with screen.doing("computing figures and their intervals"):
        metrics = evaluation.metrics | evaluation.further
        intervals = bootstrap.of_classes(evaluation) if evaluation.counts else {}
    data, (known, loudly) = model.data, model.known()
    facts = [
        ("checkpoint", model.where),
        ("model", model.config.called("model")),
        ("data", f"{data.name}, {model.called}, {len(samples):,} samples"),
        ("device", values.device(model.evaluator.compute, model.evaluator.ranks)),
        *((name, values.spanned(name, value, intervals)) for name, value in metrics.items()),
        *closing.hard(evaluation, data.classes or ()),
        *([("calibrated", said)] if (said := str(model.evaluator.calibration)) else []),
        *(("note", line) for line in model.notes()),
        *left,
    ]
    if known and not loudly:
        facts.append(("note", known))
    found = judgement.of_test(evaluation, {f"test/{k}": v for k, v in intervals.items()}, data.classes)
    if found is None:
        screen.panel("eval", facts)
    else:
        screen.panel(f"eval, {found.title}", [("judgement", found.text), *facts], found.style)
    if data.classes is not None:
        classes.accuracies(screen, data.classes, evaluation)
    if loudly:
        screen.warn(known)
    return {"metrics": {f"{model.split}/{name}": value for name, value in metrics.items()}}
