"""Files of strangers: malformed ones are refused in a line, without much memory; and none of them runs anything.

The files are made by `hostile_files` and `hostile_code`, and evaluated by `hostile_child` in a process of its own.
"""

import collections
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import hostile_files
import numpy as np
import pytest
import torch
from conftest import Trainer
from hostile_code import CODE, ELSEWHERE, MODULE
from hostile_files import FOREIGN, MALFORMED
from torch import Tensor, nn

from trainer.checkpoint import fitting, load_into, untrusted
from trainer.checkpoint import format as checkpoint
from trainer.system.errors import CheckpointError

HERE = Path(__file__).parent
SECRET = "hunter2"
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What `trainer eval` said of each file, and whether it left the file as it was."""
    top = tmp_path_factory.mktemp("hostile")
    folder, current = top / "files", top / "current"
    folder.mkdir()
    current.mkdir()
    (folder / "honest").write_bytes(hostile_files.WHOLE)
    names = {f"{i:03}" + ".full" * (name in FOREIGN): name for i, name in enumerate([*MALFORMED, *CODE])}
    for file, name in names.items():
        {**MALFORMED, **CODE}[name](folder / file)
        assert os.path.lexists(folder / file)
    (current / f"{MODULE}.py").write_text("open('canary', 'w').close()")
    (current / ELSEWHERE).write_text(f"x,y\n{SECRET},1\n")
    os.mkfifo(current / "pipe")
    before = {file: state(folder / file) for file in names}
    child = subprocess.run(
        [sys.executable, HERE / "hostile_child.py", folder],
        cwd=current,
        env=os.environ | {"SECRET": SECRET, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([*sys.path, "."])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, f"after {lines[-1:]}: {child.stderr[-2000:]}"
    assert sorted(p.name for p in current.iterdir()) == sorted([f"{MODULE}.py", ELSEWHERE, "pipe"])
    results = {names.get(line["name"], "honest"): line for line in lines}
    for file, was in before.items():
        results[names[file]]["untouched"] = state(folder / file) == was
    return results


def state(path: Path) -> tuple[Any, ...]:
    """Kind, size, time and content of a file (of a sparse one of a terabyte only its beginning)."""
    status = path.lstat()
    content = b""
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            content = hashlib.sha256(file.read(10**8)).digest()
    return status.st_mode, status.st_size, status.st_mtime_ns, content


def test_the_honest_file_that_others_are_made_of_is_evaluated(ran: Results) -> None:
    assert ran["honest"]["code"] == 0, ran["honest"]["err"]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_ends_in_one_line(ran: Results, name: str) -> None:
    check(ran[name])


@pytest.mark.parametrize("name", CODE)
def test_a_file_runs_nothing(ran: Results, name: str) -> None:
    check(ran[name])


def check(result: dict[str, Any]) -> None:
    error, *hint = result["err"].splitlines()
    assert result["code"] == 2, result["err"]
    assert error.startswith("error: ")
    assert len(error) < 500
    assert len(hint) <= 1
    assert len(result["out"].splitlines()) <= 1  # which file is evaluated, before torch is there
    assert SECRET not in result["out"] + result["err"]
    assert result["seen"] == []
    assert result["imported"] == []
    assert result["untouched"]
    assert result["seconds"] < 30
    assert result["mib"] < 1024


def test_there_are_as_many_as_we_say() -> None:
    assert len(MALFORMED) >= 60
    assert len(CODE) >= 30


TRAP = """
import pickle, zipfile

class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return print if module.startswith("torch") else super().find_class(module, name)

    def persistent_load(self, key):
        return key

Unpickler(zipfile.ZipFile("x.pt").open("archive/data.pkl")).load()
"""


@pytest.mark.parametrize("name", ["os.system", "eval", "open", "subprocess.Popen", "importlib", "INST", "STACK_GLOBAL"])
def test_the_traps_work(tmp_path: Path, name: str) -> None:
    """With plain pickle, in place of our reader, the same files make the canary."""
    (tmp_path / f"{MODULE}.py").write_text("open('canary', 'w').close()")
    CODE[name](tmp_path / "x.pt")
    subprocess.run([sys.executable, "-c", TRAP], cwd=tmp_path, capture_output=True, timeout=60)
    assert (tmp_path / "canary").exists()


# --- there is no way around ---------------------------------------------------------------------------


def test_no_environment_variable_makes_it_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.chdir(tmp_path)
    CODE["os.system"](tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"holds more than tensors and plain values \(posix\.system\)"):
        checkpoint.read("x.pt")
    assert not Path("canary").exists()


class Trusted:
    """A class that somebody has told torch to trust."""


def test_what_others_told_torch_to_trust_is_no_more_trusted_here(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2), "x": Trusted()}, tmp_path / "x.pt")
    with torch.serialization.safe_globals([Trusted]), pytest.raises(CheckpointError, match=r"test_untrusted\.Trusted"):
        checkpoint.read(tmp_path / "x.pt")


def test_the_file_that_was_checked_is_the_one_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "x.pt")
    torch.save({"w": torch.ones(2)}, tmp_path / "y.pt")
    load = torch.load

    def swap(file: Any, **keys: Any) -> Any:
        os.replace(tmp_path / "y.pt", tmp_path / "x.pt")
        return load(file, **keys)

    monkeypatch.setattr(torch, "load", swap)
    assert untrusted.load(tmp_path / "x.pt")["w"].tolist() == [0, 0]


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        untrusted.load(tmp_path / "x.pt")


@pytest.mark.parametrize("levels", [1, 4])
def test_nesting_is_bounded_through_shared_parts_too(tmp_path: Path, levels: int) -> None:
    """Each level is twenty tuples around the level before, which the list of all levels has by itself, too."""
    deeper = b"".join(b"h%c" % level + b"\x85" * 20 + b"q%c" % (level + 1) for level in range(levels))
    listed = hostile.table({"w": hostile.tensor(), "x": b"(Nq\x00" + deeper + b"t"})
    (tmp_path / "x.pt").write_bytes(hostile.archive(hostile.pickled(listed), {"data/0": bytes(16)}))
    if levels == 1:
        assert untrusted.load(tmp_path / "x.pt")["x"][0] is None
    else:
        with pytest.raises(CheckpointError, match="nested too deeply"):
            untrusted.load(tmp_path / "x.pt")


def test_no_change_to_a_pickle_gets_through_as_anything_but_sound_tensors(tmp_path: Path) -> None:
    """1,000 pickles with random bytes, in archives that are whole: refused, or read as torch reads them."""
    whole = zipfile.ZipFile(io.BytesIO(hostile_files.WHOLE))
    records = {name.removeprefix("archive/"): whole.read(name) for name in whole.namelist()}
    before, rng = np.frombuffer(records["data.pkl"], np.uint8), np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        pickled = before.copy()
        pickled[rng.integers(len(before), size=3)] = rng.integers(256, size=3)
        (tmp_path / "x.pt").write_bytes(hostile.archive(pickled.tobytes(), records | {"data.pkl": pickled.tobytes()}))
        try:
            found = untrusted.load(tmp_path / "x.pt")
        except CheckpointError:
            refused += 1
        else:
            assert plain(found)
    assert 500 < refused < 1000


def plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() <= 100 and bool((value == value).all())
    if isinstance(value, dict):
        return all(map(plain, value.keys())) and all(map(plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return isinstance(value, str | bytes | int | float | None)


# --- and honest files are read ------------------------------------------------------------------------


def tied() -> dict[str, Tensor]:
    weight = torch.randn(50, 4)
    return {"embedding": weight, "decoder": weight, "transposed": weight.t(), "row": weight[3]}


def schedule() -> dict[str, Any]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 1, 2]).state_dict()


HONEST: dict[str, Callable[[], Any]] = {
    "tied weights": tied,
    "a recurrent network": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True).state_dict(),
    "attention": lambda: nn.MultiheadAttention(8, 2).state_dict(),
    "a normalisation": lambda: nn.BatchNorm2d(3).state_dict(),
    "parameters": lambda: dict(nn.Linear(3, 2).named_parameters()),
    "nothing in a tensor": lambda: {"a": torch.zeros(0), "b": torch.zeros(3, 0, 2)},
    "a scalar": lambda: {"a": torch.tensor(3)},
    "an expanded mask": lambda: {"a": torch.ones(1, 1).expand(200, 300)},
    "every other one": lambda: {"a": torch.arange(10.0)[1::2], "b": torch.arange(10.0)[8:]},
    "channels last": lambda: {"a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)},
    "a schedule with a Counter": lambda: {"state_dict": tied(), "scheduler": schedule()},
    "plain values": lambda: {
        "state_dict": tied(),
        "words": ["a", ("ü", None, True)],
        "numbers": [1, -1, 2**40, 2**63, 1.5, float("nan")],
        "device": torch.device("cuda", 1),
        "dtype": torch.bfloat16,
        "size": torch.Size([1, 2]),
        "bytes": b"\x00\xff",
        "set": {1, 2},
        "ordered": collections.OrderedDict(a=1),
        3: "a number as key",
    },
    "random states": lambda: {"state_dict": tied(), "rng": torch.get_rng_state()},
    "a hundred thousand losses": lambda: {"state_dict": tied(), "losses": [0.5] * 100_000},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", HONEST)
def test_what_people_save_is_read_as_torch_reads_it(tmp_path: Path, name: str, legacy: bool) -> None:
    torch.save(HONEST[name](), tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    expected = torch.load(tmp_path / "x.pt", weights_only=True, map_location="cpu")
    assert equal(untrusted.load(tmp_path / "x.pt"), expected)


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first, second) and first.stride() == second.stride() and first.dtype == second.dtype
    if isinstance(first, dict):
        return type(first) is type(second) and equal(list(first.items()), list(second.items()))
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return type(first) is type(second) and repr(first) == repr(second)


@pytest.mark.parametrize(
    "dtype",
    [
        *("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "bool"),
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
    ],
)
def test_every_type_of_number_is_read(tmp_path: Path, dtype: str) -> None:
    saved = torch.arange(2).to(getattr(torch, dtype))
    torch.save({"a": saved}, tmp_path / "x.pt")
    found = checkpoint.read(tmp_path / "x.pt").model["a"]
    assert (found.dtype, found.tolist()) == (saved.dtype, saved.tolist())


def test_weights_that_are_not_finite_are_evaluated_only_if_that_is_asked_for(tmp_path: Path, trainer: Trainer) -> None:
    weights = hostile.weights() | {"linear.bias": torch.tensor([float("nan")])}
    (tmp_path / "x.pt").write_bytes(hostile.saved(hostile.honest(model=weights)))
    refused = trainer("eval", f"ckpt={tmp_path / 'x.pt'}")
    assert (refused.code, refused.out) == (2, f"eval  {tmp_path / 'x.pt'}, device auto\n")
    assert refused.err == (
        f"error: {tmp_path / 'x.pt'} has weights that are not finite, first linear.bias\n"
        "  use them all the same: eval.allow_nonfinite=true\n"
    )
    allowed = trainer("eval", f"ckpt={tmp_path / 'x.pt'}", "eval.allow_nonfinite=true")
    assert allowed.code == 0
    assert "warning: " in allowed.out
    assert trainer("inspect", f"ckpt={tmp_path / 'x.pt'}").code == 0


def test_a_training_does_not_start_from_weights_that_are_not_finite(tmp_path: Path, trainer: Trainer) -> None:
    weights = hostile.weights() | {"linear.weight": torch.full((1, 10), float("inf"))}
    (tmp_path / "x.pt").write_bytes(hostile.saved(hostile.honest(model=weights)))
    refused = trainer("train", f"from={tmp_path / 'x.pt'}")
    assert refused.code == 2
    assert refused.err == (
        f"error: {tmp_path / 'x.pt'} has weights that are not finite, first linear.weight\n"
        "  train with them all the same: on_nan=ignore\n"
    )
    assert not (tmp_path / "runs").exists()


UNFIT = {
    "complex": torch.zeros(1, 10, dtype=torch.complex64),
    "int8": torch.zeros(1, 10, dtype=torch.int8),
    "int64": torch.zeros(1, 10, dtype=torch.int64),
    "bool": torch.zeros(1, 10, dtype=torch.bool),
    "float8": torch.zeros(1, 10, dtype=torch.float8_e5m2),
    "one value for all": torch.zeros(1).expand(1, 10),
    "overlapping": torch.zeros(10).as_strided((1, 10), (0, 0)),
}


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("bare", [False, True], ids=["ours", "bare"])
def test_weights_of_another_kind_are_refused(tmp_path: Path, name: str, bare: bool) -> None:
    state = hostile.weights() | {"linear.weight": UNFIT[name]}
    torch.save(state if bare else hostile.honest(model=state), tmp_path / "x.pt")
    found = checkpoint.read(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt does not fit the model: linear\.weight (is|has) ") as caught:
        fitting(nn.ModuleDict({"linear": nn.Linear(10, 1)}), found.model, found.path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_another_width_are_converted(dtype: str) -> None:
    model = nn.Linear(3, 2)
    state = {name: values.to(getattr(torch, dtype)) for name, values in nn.Linear(3, 2).state_dict().items()}
    load_into(model, state, "x.pt")
    assert all(torch.equal(values, state[name].float()) for name, values in model.state_dict().items())


def test_weights_may_be_parts_of_larger_tensors(tmp_path: Path) -> None:
    whole, model = torch.arange(20.0).view(4, 5), nn.Linear(3, 2)
    torch.save({"weight": whole[:2, :3], "bias": whole[:2, 4]}, tmp_path / "x.pt")
    load_into(model, checkpoint.read(tmp_path / "x.pt").model, "x.pt")
    assert torch.equal(model.weight, whole[:2, :3])


FUTURE = {
    "version 3": {"version": 3},
    "a version of text": {"version": "3"},
    "a version that is no whole number": {"version": 2.0},
    "a version that is a flag": {"version": True},
    "a version that is a tensor": {"version": torch.tensor(2)},
    "no version": {"version": None},
    "another format": {"format": "trainer2"},
    "another format and version": {"format": "coach", "version": 3},
    "a format that is no text": {"format": 7},
    "no format": {"format": None},
}


@pytest.mark.parametrize("name", FUTURE)
def test_a_file_of_a_later_trainer_is_refused_by_whatever_key_it_is_given(
    tmp_path: Path, trainer: Trainer, name: str
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best.pt").write_bytes(hostile.saved(hostile.honest(**FUTURE[name])))
    for given in (run, run / "checkpoints" / "best.pt"):
        for verb in (("eval", f"ckpt={given}"), ("train", f"from={given}")):
            refused = trainer(*verb)
            assert refused.code == 2
            error, hint = refused.err.splitlines()
            assert error.startswith(f"error: {run / 'checkpoints' / 'best.pt'} has format version ")
            assert hint == "  update trainer"
