"""From a checkpoint to a file that is proved: written under another name until it is."""

import dataclasses
import hashlib
import importlib
import importlib.util
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer import checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config.base import Config
from trainer.engine import device
from trainer.export import facts, quantize
from trainer.export.columns import arrays, tensors
from trainer.export.columns_module import ByName, Columns
from trainer.export.proof import TOLERANCE, Proof, prove
from trainer.export.proving import Proving
from trainer.export.samples import OfTable
from trainer.export.served import served
from trainer.predict.predictor import Predictor
from trainer.show.report import Report
from trainer.system.atomic import replacing, storing, write_text
from trainer.system.errors import CheckpointError, ConfigError
from trainer.system.extras import install
from trainer.system.paths import expanded
from trainer.system.shown import shortened

UNPROVED = ".unproved"  # ends the name of a file that is not what it should be
_OF_TABLES: dict[str, OfTable] = {"onnx": arrays, "pt2": tensors}
_FORMATS = ("onnx", "pt2", "safetensors")


@dataclass(frozen=True)
class Exported:
    """A file, and how it was proved."""

    path: Path
    predictor: Predictor
    proof: Proof
    on: str  # which samples the proof was held on
    given: str  # what the file takes, in words
    said: dict[str, str]  # its metadata
    plain: Proof | None = None  # that of the file in single precision from which a quantized one was made

    def as_json(self) -> dict[str, Any]:
        """What is written beside the file."""
        proof, content = self.proof, self.path.read_bytes()
        score = "accuracy" if self.predictor.classes is not None else "rmse"
        pairs = {score: proof.score, "milliseconds_one_at_a_time": proof.one, "milliseconds_in_a_batch": proof.many}
        return {
            "file": self.path.name.removesuffix(UNPROVED),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "proved": proof.holds,
            "samples": proof.samples,
            "on": self.on,
            "largest_difference": proof.difference,
            "relative_difference": proof.relative,
            "tolerance": TOLERANCE,
            "equal_answers": proof.equal,
            "unequal": proof.unequal,
            **{name: dict(zip(("trained", "exported"), pair, strict=True)) for name, pair in pairs.items() if pair},
            "batch": proof.batch,
            "metadata": self.said,
            **({} if self.plain is None else _quantized(proof, self.plain)),
        }


def export(
    config: Config, ckpt: str, form: str, out: str | None, on: str, screen: Report, allowed: float | None = None
) -> Exported:
    """Export the model of a run or checkpoint file, and prove it on the samples that `on` says: `test` or `random`.

    A file whose loss is `allowed` is quantized to 8 bits, once that in single precision has been proved.

    A file that does not answer as the model does is left under a name that ends in `UNPROVED`, and a good one that was
    there before stays.

    Raises:
        UserError: There is no such checkpoint, it cannot be exported, or its test data are not there.
    """
    kind = _format(form)
    named = None if out is None else _named(out, form)
    found = checkpoint.read(ckpt)
    if found.flaw:
        raise CheckpointError(found.flaw, "export another checkpoint")
    if on == "test" or allowed is not None:
        adopt(config, found)  # a predictor does without data of somebody's own, and their test split needs them
    predictor = Predictor(config, found, device.choose("cpu", "float32"), screen)
    path = named or _default(predictor, form, "" if allowed is None else "_int8")
    data = Proving(predictor, screen, _OF_TABLES.get(form))
    with screen.doing("reading the samples of the proof"):
        parts, what = data.samples(on)
    given = _given(predictor, form)
    said = facts.described(predictor, given)
    with screen.doing(f"exporting to {form}"):
        content = kind.content(predictor, said)
    unproved = path.with_name(path.name + UNPROVED)
    with replacing(unproved) as file:
        file.write(content)
    try:
        with screen.doing("proving"):
            proof, plain = prove(predictor, kind.runner(unproved, predictor), parts), None
        if proof.holds and allowed is not None:
            batches, calibrated = data.calibrating()
            said["quantized"] = f"int8, ranges from {calibrated}"
            with screen.doing("quantizing"):
                content = quantize.int8(content, batches, said)
            with replacing(unproved) as file:
                file.write(content)
            again, plain = data.samples(on)[0], proof
            with screen.doing("proving"):
                proof = prove(predictor, kind.runner(unproved, predictor), again, allowed)
    except BaseException:  # Ctrl-C, say
        unproved.unlink()
        raise
    done = Exported(unproved, predictor, proof, what, given, said, plain)
    report = json.dumps(done.as_json(), indent=2) + "\n"
    if not proof.holds:
        write_text(_beside(unproved), report)
        return done
    with storing(path):
        os.replace(unproved, path)
    write_text(_beside(path), report)
    _beside(unproved).unlink(missing_ok=True)  # of an attempt before
    return dataclasses.replace(done, path=path)


def _format(form: str) -> ModuleType:
    """The module of a format, whose libraries are there."""
    if form in ("torchscript", "script", "jit"):
        raise ConfigError(
            "format=torchscript is not offered: torch has deprecated TorchScript",
            "take format=pt2, which torch.export.load reads, or format=onnx",
        )
    if form not in _FORMATS:
        raise ConfigError(f"format={form}: no such format", f"choose from: {', '.join(_FORMATS)}")
    kind = importlib.import_module(f"trainer.export.{form}")
    for name in kind.NEEDED:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"format={form} needs {name}, which is not installed", install("export"))
    return kind


def _named(out: str, form: str) -> Path:
    """The file that was asked for: the end of its name says what it is, so that no checkpoint is written over."""
    path = expanded(out)
    if path.suffix != f".{form}":
        raise ConfigError(f"out={out}: the name of the file must end in .{form}", f"out={path.stem or 'model'}.{form}")
    if not path.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {path.parent}", f"make it: mkdir -p {path.parent}")
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder", "give the name of a file")
    return path


def _default(predictor: Predictor, form: str, end: str) -> Path:
    """MODEL_DATA.onnx in the current directory; an earlier export is replaced there, and no other file."""
    config = predictor.config
    name = re.sub(r"[/\\]", "_", shortened(f"{config.called('model')}_{config.title('data')}", 60, "..."))
    path = Path(f"{name}{end}.{form}")
    if os.path.lexists(path) and not os.path.lexists(_beside(path)):
        raise ConfigError(
            f"{path} is there already, and trainer has not exported it", f"give another name: out=FILE.{form}"
        )
    return path


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _quantized(proof: Proof, plain: Proof) -> dict[str, Any]:
    """What is written of a quantized file beside the rest, and of that in single precision."""
    speeds = {"milliseconds_one_at_a_time": plain.one[1], "milliseconds_in_a_batch": plain.many[1]}
    return {"lost": proof.lost, "allowed": proof.allowed, "float32": speeds}


def _given(predictor: Predictor, form: str) -> str:
    """What the file takes, in words."""
    if form == "safetensors":
        return "none: the file holds weights"
    return served(predictor, ByName if form == "pt2" else Columns).prepare.said
