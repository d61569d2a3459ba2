"""The floating-point operations of matrix products and convolutions that torch's profiler has seen.

A multiplication and an addition are two. What is done value by value has none here: memory bounds it, and a rate of
operations would say nothing.
"""

from typing import Any

from torch.autograd.profiler_util import FunctionEvent
from torch.utils.flop_counter import conv_flop_count

_COUNTED = {f"aten::{name}" for name in ("conv2d", "mm", "addmm", "bmm", "baddbmm")}  # which the profiler counts right


def of(event: FunctionEvent) -> int:
    """The operations of a call with all that it calls."""
    if event.name == "aten::convolution_backward":
        return _of_gradients(event)
    if event.name in _COUNTED:
        return int(event.flops or 0)
    return sum(map(of, event.cpu_children))


def _of_gradients(event: FunctionEvent) -> int:
    """Those of the gradients of a convolution: torch's profiler counts the way forward only.

    The gradient of the images and that of the weights take each as many as the convolution. The arguments are, in
    torch's order, gradient, images and weights, then seven others, and which gradients are wanted.
    """
    shapes: Any = event.input_shapes
    values = event.concrete_inputs
    if len(values) < 11 or not all(shapes[:3]):
        return 0
    gradient, images, weights = shapes[:3]
    of_one = conv_flop_count(images, weights, gradient, transposed=bool(values[7]))
    return int(of_one) * sum(map(bool, values[10][:2]))
