"""`trainer resume`: a training that was interrupted ends as if it had not been."""

import os
import signal
from pathlib import Path

import pytest
import resuming
import running
import torch
from conftest import Trainer

SMALL = (
    "plots=false",
    "tables=false",
    "tensorboard.graph=false",
    "tensorboard.every_steps=1",
    "epochs=3",
    "data.limit=96",
)
MODELS = {
    "lenet": (
        *("model=lenet", "data=digits", "optim=sgd", "optim.momentum=0.9", "scheduler=onecycle", "accumulate=2"),
        *("data.batch_size=16", "data.augment.shift=2", "data.augment.cutout=3", "evaluate.every_steps=2"),
    ),
    "mlp": (
        *("model=mlp", "data=digits", "data.size=8", "optim=adamw", "scheduler=cosine", "scheduler.warmup_steps=3"),
        *("data.batch_size=20", "clip_norm=1", "label_smoothing=0.1", "early_stopping.patience=2"),
    ),
    "linear": (
        *("model=linear", "data=diabetes", "optim=rmsprop", "optim.momentum=0.5", "scheduler=plateau"),
        *("scheduler.patience=0", "data.batch_size=20", "optim.lr=0.1", "evaluate.every_epochs=2"),
    ),
}
PLACES = {"resident": ("data.placement=device",), "streamed": ("data.placement=stream", "data.workers=1")}
PLACES["windows"] = ("data.placement=windows", "data.window=0.01")  # of about two batches


@pytest.mark.parametrize(
    ("model", "place"),
    [
        *(
            ("lenet", "resident"),
            ("lenet", "windows"),
            ("linear", "resident"),
        ),
        *(pytest.param(model, "streamed", marks=pytest.mark.slow) for model in ("lenet", "mlp", "linear")),
        pytest.param("mlp", "resident", marks=pytest.mark.slow),
    ],
)
def test_interrupted_after_every_single_step_it_ends_as_if_never_interrupted(
    trainer: Trainer, model: str, place: str
) -> None:
    asked = (*SMALL, *MODELS[model], *PLACES[place])
    whole = running.train(trainer, *asked, "output=whole")
    run, codes = resuming.in_parts(trainer, asked, lambda state: True)
    assert codes[-1] == 0
    assert len(codes) >= running.result(whole)["steps"]
    assert resuming.differences(whole, run) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("compile", ["off", "cudagraph"])
def test_on_a_gpu_it_does_so_with_deterministic_kernels(trainer: Trainer, compile: str) -> None:
    asked = (*SMALL, *MODELS["lenet"], "device=cuda", "deterministic=true", f"compile={compile}")
    whole = running.train(trainer, *asked, "output=whole")
    run, codes = resuming.in_parts(trainer, asked, lambda state: state.step in (2, 3, 7))
    assert codes == [130, 130, 0]
    assert resuming.differences(whole, run) == []


def test_interrupted_within_an_evaluation_it_repeats_that(trainer: Trainer) -> None:
    asked = (*SMALL, *MODELS["lenet"])
    whole = running.train(trainer, *asked, "output=whole")
    calls = []

    def interrupt(module: torch.nn.Module, inputs: torch.Tensor) -> None:
        if type(module).__name__ == "LeNet" and not module.training and len(inputs) > 2:  # fewer find its shapes
            calls.append(1)
            if len(calls) % 3:
                os.kill(os.getpid(), signal.SIGTERM)

    with resuming.watching(interrupt):
        assert trainer("train", *asked, "output=parts").code == 143
        run = next(Path("parts").glob("*/*"))
        codes = resuming.go_on(trainer, run, 143)
    assert codes[-1] == 0
    assert codes.count(143) >= 5
    assert resuming.differences(whole, run) == []
