"""compile=inductor: what is compiled, what is not, and that it computes the same."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from running import SILENT, train, weights
from torch import Tensor, nn

from trainer.engine.steps.compiled import Compiled


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """torch.compile replaced by what notes the shapes it is called with."""
    shapes: list[tuple[int, ...]] = []

    def pretend(model: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            shapes.append(tuple(inputs.shape))
            return model(inputs)

        return forward

    monkeypatch.setattr(torch, "compile", pretend)
    return shapes


def test_only_batches_of_the_first_shape_are_compiled(compiled: list[tuple[int, ...]]) -> None:
    forward = Compiled(network(), pytest.fail)
    for size in (8, 8, 5, 8):
        assert forward(torch.ones(size, 3)).shape == (size, 2)
    assert compiled == [(8, 3)] * 3


def test_a_model_that_cannot_be_compiled_runs_as_written_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **options: Any) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            raise OSError("no C++ compiler\nlong story")

        return forward

    monkeypatch.setattr(torch, "compile", fails)
    said: list[str] = []
    model = network()
    forward = Compiled(model, said.append)
    inputs = torch.randn(4, 3)
    for _ in range(3):
        assert torch.equal(forward(inputs), model(inputs))
    assert said == ["compile: inductor cannot compile this model, steps run eagerly: no C++ compiler"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own code
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_training_is_the_eager_one(trainer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Kernels differ: within 1e-4 of each parameter after an epoch of 21 steps with Adam."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    quick = (*SILENT, "model=mlp", "epochs=1")
    eager = weights(train(trainer, *quick, "compile=off"))
    compiled = weights(train(trainer, *quick, "compile=inductor"))
    assert eager.keys() == compiled.keys()
    for name, expected in eager.items():
        torch.testing.assert_close(compiled[name], expected, rtol=0, atol=1e-4)


def test_cuda_graphs_on_a_cpu_leave_nothing_behind(trainer: Any) -> None:
    ran = trainer("train", "device=cpu", "compile=cudagraph")
    assert ran.code == 2
    assert "compile=cudagraph needs an NVIDIA GPU" in ran.err
    assert len(ran.err.splitlines()) == 2
