"""Which device and precision a run gets on machines that have this or that."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from trainer.engine import device
from trainer.system.errors import DeviceError


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    """`choose` sets torch's: set it back."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)
    torch.backends.cudnn.allow_tf32 = True


def pretend(monkeypatch: pytest.MonkeyPatch, cuda: int = 0, mps: bool = False, build: str | None = "12.8") -> None:
    """A machine with so many NVIDIA GPUs, or with Apple's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", build)


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "chosen"),
    [
        (0, False, "auto", "cpu"),
        (2, False, "auto", "cuda:0"),
        (0, True, "auto", "mps"),
        (2, False, "cpu", "cpu"),
        (2, False, "cuda", "cuda"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_what_is_asked_for_is_taken_where_it_is(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, asked: str, chosen: str
) -> None:
    pretend(monkeypatch, cuda, mps)
    assert device.choose(asked, "float32").device == torch.device(chosen)


@pytest.mark.parametrize(
    ("cuda", "build", "asked", "message", "hint"),
    [
        (0, "12.8", "cuda", "device=cuda: not available here", "available: cpu (device=auto takes the best)"),
        (0, None, "cuda", "device=cuda: this torch is built without CUDA here", "available: cpu (device="),
        (2, "12.8", "cuda:2", "device=cuda:2: not available here", "available: cpu, cuda:0, cuda:1 ("),
        (0, "12.8", "mps", "device=mps: not available here", "available: cpu"),
        (0, "12.8", "cdua", "device=cdua: no such device", "did you mean 'cuda'?"),
        (0, "12.8", "gpu", "device=gpu: no such device", ""),
        (0, "12.8", "", "device=: no such device", "choose from: auto, cpu, cuda, mps"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(
    monkeypatch: pytest.MonkeyPatch, cuda: int, build: str | None, asked: str, message: str, hint: str
) -> None:
    pretend(monkeypatch, cuda, build=build)
    with pytest.raises(DeviceError) as caught:
        device.choose(asked, "float32")
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(("asked", "precision"), [("cpu", "tf32"), ("mps", "tf32"), ("mps", "float64")])
def test_a_precision_that_the_device_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, asked: str, precision: str
) -> None:
    pretend(monkeypatch, mps=True)
    with pytest.raises(DeviceError, match=f"precision={precision}"):
        device.choose(asked, precision)


@pytest.mark.parametrize(
    ("precision", "dtype", "product"),
    [
        ("float32", torch.float32, torch.float32),
        ("float64", torch.float64, torch.float64),
        ("bfloat16", torch.float32, torch.bfloat16),
    ],
)
def test_precision_is_that_of_weights_and_of_products(precision: str, dtype: torch.dtype, product: torch.dtype) -> None:
    compute = device.choose("cpu", precision)
    assert compute.dtype is dtype
    weights = torch.ones(2, 2, dtype=compute.dtype)
    with compute.autocast():
        assert (weights @ weights).dtype is product


def test_tf32_is_set_when_asked_for_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=1)
    for precision, matmul in (("tf32", "high"), ("float32", "highest")):
        device.choose("cuda", precision)
        assert torch.get_float32_matmul_precision() == matmul
        assert torch.backends.cudnn.allow_tf32 is (precision == "tf32")


def test_a_device_is_described_with_its_threads() -> None:
    assert str(device.choose("cpu", "float32")) == "cpu, 1 thread, float32"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_is_named() -> None:
    assert str(device.choose("cuda", "tf32")) == f"cuda, {torch.cuda.get_device_name(0)}, tf32"


def test_a_chosen_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=2)
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    for asked in ("cuda:1", "cuda", "cpu"):
        device.choose(asked, "float32")
    assert current == [torch.device("cuda:1")]


# --- determinism --------------------------------------------------------------------------------------

# In a process of its own: what is set is set for all of it.
DETERMINISTIC = """
import os, sys
import torch
from trainer.engine import device
torch.backends.cudnn.benchmark = True
for word in sys.argv[1:]:
    device.choose("cpu", "float32", word == "yes")
    print(
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.utils.deterministic.fill_uninitialized_memory,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "torch._inductor" in sys.modules or "torch._dynamo" in sys.modules,
    )
"""


@pytest.fixture(scope="module")
def settled() -> list[list[str]]:
    """What is set in runs that are not deterministic, and are, and again are not."""
    command = [sys.executable, "-c", DETERMINISTIC, "no", "yes", "no"]
    before = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, env=before)
    assert ran.returncode == 0, ran.stderr
    return [line.split() for line in ran.stdout.splitlines()]


def test_deterministic_sets_what_torchs_notes_ask_for_and_a_run_after_it_does_without(
    settled: list[list[str]],
) -> None:
    assert settled[1][:5] == ["True", "False", "False", "False", ":4096:8"]
    assert settled[2][0] == "False"


def test_without_it_nothing_is_set_and_torchs_compiler_is_not_imported(settled: list[list[str]]) -> None:
    """That takes over a second of every start."""
    assert settled[0] == ["False", "False", "True", "True", "None", "False"]


def test_an_operation_that_cannot_be_deterministic_is_an_error_then_and_the_users_workspace_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    before = torch.utils.deterministic.fill_uninitialized_memory
    try:
        device.choose("cpu", "float32", deterministic=True)
        with pytest.raises(RuntimeError, match="deterministic"):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = before
