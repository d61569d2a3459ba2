"""From a checkpoint to a file that is proved: written under another name until it is."""

import dataclasses
import hashlib
import importlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from trainer import checkpoint
from trainer.checkpoint.adoption import adopt
from trainer.config.base import Config
from trainer.data.loading import load_dataset
from trainer.data.sets.table import Table
from trainer.engine import device
from trainer.export import facts, samples
from trainer.export.columns import arrays, inputs_of, tensors
from trainer.export.columns_module import ByName, Columns
from trainer.export.columns_rows import cells_of
from trainer.export.proof import TOLERANCE, Proof, prove
from trainer.export.samples import OfTable, Samples
from trainer.export.served import served
from trainer.predict.predictor import Predictor
from trainer.show.report import Report
from trainer.system.atomic import replacing, storing, write_text
from trainer.system.errors import CheckpointError, ConfigError, DataError
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
        }


def export(config: Config, ckpt: str, form: str, out: str | None, on: str, screen: Report) -> Exported:
    """Export the model of a run or checkpoint file, and prove it on the samples that `on` says: `test` or `random`.

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
    if on == "test":
        adopt(config, found)  # a predictor does without data of somebody's own, and their test split needs them
    predictor = Predictor(config, found, device.choose("cpu", "float32"), screen)
    path = named or _default(predictor, form)
    parts, what = _samples(predictor, on, screen, _OF_TABLES.get(form))
    given = _given(predictor, form)
    said = facts.described(predictor, given)
    content = kind.content(predictor, said)
    unproved = path.with_name(path.name + UNPROVED)
    with replacing(unproved) as file:
        file.write(content)
    try:
        proof = prove(predictor, kind.runner(unproved, predictor), parts)
    except BaseException:  # Ctrl-C, say
        unproved.unlink()
        raise
    done = Exported(unproved, predictor, proof, what, given, said)
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
            raise ConfigError(f"format={form} needs {name}, which is not installed", "pip install 'trainer[export]'")
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


def _default(predictor: Predictor, form: str) -> Path:
    """MODEL_DATA.onnx in the current directory; an earlier export is replaced there, and no other file."""
    config = predictor.config
    name = re.sub(r"[/\\]", "_", shortened(f"{config.called('model')}_{config.title('data')}", 60, "..."))
    path = Path(f"{name}.{form}")
    if os.path.lexists(path) and not os.path.lexists(_beside(path)):
        raise ConfigError(
            f"{path} is there already, and trainer has not exported it", f"give another name: out=FILE.{form}"
        )
    return path


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _samples(predictor: Predictor, on: str, screen: Report, of_table: OfTable | None) -> tuple[Iterator[Samples], str]:
    """The samples of the proof, and what they are."""
    if on == "random":
        return samples.made_up(predictor, screen.track, of_table), "random inputs"
    config, found = predictor.config, predictor.found
    try:
        data = load_dataset(config, screen.track, None, found.description or None)
    except DataError as error:
        raise DataError(
            f"the test data are needed for the proof: {error.message}",
            f"{error.hint}; or prove it on random inputs: export.proof=random".removeprefix("; or "),
        ) from error
    split = data.split("test")
    if not len(split):
        raise DataError("there is no test sample for the proof", "prove it on random inputs: export.proof=random")
    table = None
    if predictor.plan is not None and of_table is not None:
        assert isinstance(config.data, Table)
        cells = cells_of(config.data, "test", split, predictor.plan)
        table = of_table(inputs_of(predictor.plan), cells, len(split))
    return samples.of_split(predictor, split, screen.track, table), f"the test split of {data.name}"


def _given(predictor: Predictor, form: str) -> str:
    """What the file takes, in words."""
    if form == "safetensors":
        return "none: the file holds weights"
    return served(predictor, ByName if form == "pt2" else Columns).prepare.said
