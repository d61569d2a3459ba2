"""Gradients of small convolutions as models lay them out, against contiguous ones in double precision.

A process of its own runs it: oneDNN's mistakes end in crashes and hangs. It prints what differs.
"""

import itertools
import sys

import torch
from torch import Tensor, nn

from trainer.models.build import lay_out

CPU = torch.device("cpu")


def gradients(layer: nn.Module, images: Tensor, upstream: Tensor) -> list[Tensor]:
    images = images.clone().requires_grad_()
    outputs = layer(images)
    outputs.backward(upstream)
    assert images.grad is not None
    return [outputs.detach(), images.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


def differs(kernel: int, stride: int, channels: int, groups: int, size: int, samples: int) -> bool:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(channels, 16, kernel, stride, kernel // 2, groups=groups))
    images = torch.randn(samples, channels, size, size)
    upstream = torch.randn_like(layer(images))
    expected = gradients(layer.double(), images.double(), upstream.double())
    layer = layer.float()
    layer.zero_grad()
    lay_out(layer, CPU)
    # As batches are: (N, H, W, C) in memory, of one channel too.
    images = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    found = gradients(layer, images, upstream)
    return any(not bool((a - b).abs().max() <= 1e-4 * b.abs().max()) for a, b in zip(found, expected, strict=True))


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    grid = itertools.product((1, 3, 5), (1, 2), (1, 3, 4, 8, 12, 16), (False, True), (7, 16), (5, 32))
    for kernel, stride, channels, grouped, size, samples in grid:
        groups = channels if grouped and 16 % channels == 0 else 1
        if grouped == (groups > 1) and differs(kernel, stride, channels, groups, size, samples):
            print(f"{kernel=} {stride=} {channels=} {groups=} {size=} {samples=}")
    print("done")


if __name__ == "__main__":
    main()
