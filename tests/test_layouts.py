"""Models compute channels-last where that is right, and contiguously where a library's kernels are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainer.models.build import lay_out

CHECKING = Path(
    "/lib/x86_64-linux-gnu/libc_malloc_debug.so.0"
)  # glibc's, which notices what is written beyond a buffer


@pytest.mark.timeout(400)
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_gradients_of_small_convolutions_are_right(threads: int) -> None:
    checked = {"LD_PRELOAD": str(CHECKING), "MALLOC_CHECK_": "3"} if CHECKING.exists() else {}
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("layouts.py")), str(threads)],
        env=os.environ | checked | {"OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def layout_of(images: Tensor) -> str:
    """As torch takes it, which says it of strides alone."""
    return "contiguous" if images.stride()[-1] == 1 and images.stride()[1] > 1 else "channels last"


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        (nn.Conv2d(3, 8, 1, stride=2), "contiguous"),
        (nn.Conv2d(1, 8, 1, stride=2), "contiguous"),
        (nn.Conv2d(12, 8, 1, stride=(1, 2)), "contiguous"),
        (nn.Conv2d(32, 8, 1, stride=2, groups=4), "contiguous"),
        (nn.Conv2d(16, 8, 1, stride=2), "channels last"),
        (nn.Conv2d(3, 8, 1), "channels last"),
        (nn.Conv2d(3, 8, 3, stride=2), "channels last"),
    ],
    ids=str,
)
def test_only_strided_1x1_convolutions_of_few_channels_are_contiguous(layer: nn.Conv2d, layout: str) -> None:
    seen: list[str] = []

    class Spy(nn.Conv2d):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(layout_of(images))
            return super().forward(images)

    layer.__class__ = Spy
    model = nn.Sequential(nn.Identity(), layer)
    lay_out(model, torch.device("cpu"))
    model(torch.randn(2, 8, 8, layer.in_channels).permute(0, 3, 1, 2))
    assert seen == [layout]
    assert layout_of(layer.weight) == layout or layer.kernel_size == (1, 1)


def test_the_state_of_a_model_is_the_same_in_either_layout() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2), nn.Conv2d(8, 4, 3))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    lay_out(model, torch.device("cpu"))
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
