"""`export.quantize=int8`: an ONNX file whose layers compute in whole numbers of 8 bits, by onnxruntime's own tools."""

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.export.onnx import written
from trainer.system.errors import ConfigError

SAMPLES = 512  # at most, from which the ranges of values are measured
_LEARNED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_COLOURS = 4  # channels up to which a convolution takes longer in 8 bits: it fills no row of them
# MaxPool is not among them: in 8 bits it is no faster, or much slower.
_BETWEEN = ("Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "Relu", "Reshape")


def int8(content: bytes, given: Iterable[Any], facts: Mapping[str, str]) -> bytes:
    """The bytes of the file `content` with layers of 8 bits, and `facts` as its metadata.

    Weights have a scale for each channel, values between layers one for each tensor, which is measured on samples:
    `given` are batches of them as the file takes them. What prepares a sample, a first convolution of colours, and the
    last layer with all that follows it stay as they are: rounded logits would often be equal.

    Raises:
        ConfigError: No layer is left to quantize.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load_model_from_string(content)
    nodes = _quantized(model.graph)
    if not nodes:
        raise ConfigError(
            "export.quantize=int8: the model has no layer beside those that stay in single precision",
            "leave export.quantize out",
        )
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "model.onnx")
        quantize_static(
            model,
            path,
            _Reader(model.graph.input[0].name, given),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=nodes,
        )
        return written(onnx.load(path), facts)


def _quantized(graph: Any) -> list[str]:
    """The names of the layers, and of what lies between them, that are to compute in 8 bits."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in _LEARNED and node.input[1] in weights]
    if layers and layers[0].op_type == "Conv" and weights[layers[0].input[1]][1] <= _COLOURS:
        del layers[0]
    if len(layers) < 2:
        return []
    reached: set[str] = set()
    behind: list[Any] = []
    for node in graph.node:  # in an order in which each comes after those that it takes from
        if node is layers[-1]:
            break
        if node in layers or reached.intersection(node.input):
            reached.update(node.output)
            behind.append(node)
    return [node.name for node in behind if node in layers or node.op_type in _BETWEEN]


class _Reader:
    """Batches of samples, one after the other, in the form that onnxruntime asks for them."""

    def __init__(self, name: str, given: Iterable[Any]) -> None:
        self.name, self.batches = name, iter(given)

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by the names of the inputs, or None at the end."""
        batch = next(self.batches, None)
        return batch if batch is None or isinstance(batch, dict) else {self.name: batch}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice that onnxruntime logs from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
