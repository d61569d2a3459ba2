"""`trainer export`: the model of a checkpoint in one file that needs no trainer, and the proof of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.config.base import Config
from trainer.config.keys import MISSING, key

if TYPE_CHECKING:
    from trainer.export.exporting import Exported

SUMMARY = "a model in one file with its preprocessing, proved on the test split"
EXAMPLES = """
trainer export RUN                               ONNX, for onnxruntime
trainer export RUN format=pt2 out=model.pt2      for torch, without trainer
trainer export RUN format=safetensors            the weights alone
trainer export RUN data.path=DIR                 prove it on test data that were moved
"""


@dataclass
class ExportOptions:
    """What `trainer export` makes smaller, and how it proves what it has made."""

    proof: str = key(
        "test",
        "the samples on which the file must answer as the trained model does: the test split, or random inputs",
        choices=("test", "random"),
    )
    quantize: str = key("none", "int8: layers of 8 bits, for format=onnx", choices=("none", "int8"))
    max_loss: float = key(0.01, "the accuracy that int8 may lose; of a quantity, the share of the error", minimum=0)


@dataclass
class Export(Config):
    """`trainer export`: the model of a checkpoint in one file, with its preprocessing and the proof of it."""

    ckpt: str = key(MISSING, "a run directory or a checkpoint file", text=True, positional=True)
    format: str = key("onnx", "onnx, pt2 (torch.export), or safetensors (the weights alone)")
    out: str | None = key(None, "the file; null: MODEL_DATA.onnx, say, in the current directory", text=True)
    model: Any = key(None, "for a bare state_dict, or a model of your own: the group `model`")
    data: Any = key(None, "the data of a bare state_dict, or where test data are now: the group `data`")
    export: ExportOptions = field(default_factory=ExportOptions, metadata={"doc": "how the file is proved"})


def run(config: Export) -> dict[str, Any]:
    """Write the file, prove it, and show the proof.

    Returns:
        The proof, as it is written beside the file.

    Raises:
        UserError: There is no such checkpoint, it cannot be exported, or its test data are not there.
        UnprovedError: The file does not answer as the trained model does.
    """
    from trainer.show.beginning import beginning
    from trainer.system.errors import ConfigError, UnprovedError

    with beginning("export", f"{config.ckpt} to {config.out or config.format}") as screen:
        from trainer.export import exporting
        from trainer.run import card

    given = config.export
    if given.quantize != "none" and config.format != "onnx":
        raise ConfigError(f"export.quantize={given.quantize} is for format=onnx", "leave one of the two out")
    allowed = None if given.quantize == "none" else given.max_loss
    done = exporting.export(config, config.ckpt, config.format, config.out, given.proof, screen, allowed)
    proof, path, name = done.proof, done.path, str(done.path)
    screen.facts(
        "export",
        [
            ("checkpoint", str(done.predictor.found.path)),
            ("input", done.given),
            ("preparation", done.said["preprocessing"]),
            ("outputs", done.said["outputs"]),
            ("proved on", f"{done.on}, {proof.samples:,} samples"),
            (
                "largest difference",
                f"{proof.difference:.2g}, {proof.relative:.1e} of the largest {_what(done)}",
            ),
        ],
    )
    screen.table(("", "trained", "exported"), _rows(done))
    if proof.allowed is not None and not proof.holds:
        raise UnprovedError(
            f"int8 loses {proof.lost:.2%}, more than export.max_loss={proof.allowed:g}: the file is left as {name}",
            "allow more, or leave export.quantize out",
        )
    if not proof.holds:
        raise UnprovedError(f"the file does not answer as the trained model: it is left as {name}", f"see {name}.json")
    card.exported(done.predictor.found.path, path.name, _proved(done))
    screen.say(f"proved: {name}, {path.stat().st_size:,} bytes; the proof is in {name}.json", style="green")
    return done.as_json()


def _proved(done: "Exported") -> str:
    """The proof in a line."""
    proof = done.proof
    largest = f"the largest difference is {proof.relative:.1e} of the largest {_what(done)}"
    return f"{100 * proof.equal:.2f}% equal answers on {done.on}, {proof.samples:,} samples; {largest}"


def _what(done: "Exported") -> str:
    return "logit" if done.predictor.classes is not None else "value, from the target's mean"


def _rows(done: "Exported") -> list[tuple[str, str, str]]:
    from trainer.show import values

    proof, rows = done.proof, []
    name = "accuracy" if done.predictor.classes is not None else "rmse"
    if proof.score is not None:
        trained, exported = (values.metric(name, score) for score in proof.score)
        rows.append((name, trained, exported))
    unequal = f" ({proof.unequal:,} not)" if proof.unequal else ""
    rows.append(("equal answers", "", f"{100 * proof.equal:.2f}%{unequal}"))
    speeds = (("one at a time", proof.one), (f"{proof.batch:,} at a time", proof.many))
    if done.plain is not None:
        rows.append(("lost", "", f"{proof.lost:.2%}"))
    rows += [(f"ms per sample, {how}", f"{pair[0]:.3g}", f"{pair[1]:.3g}") for how, pair in speeds]
    if done.plain is not None:
        plain = zip(speeds, (done.plain.one, done.plain.many), strict=True)
        rows += [(f"float32, {how}", "", f"{pair[1]:.3g}") for (how, _), pair in plain]
    return rows
