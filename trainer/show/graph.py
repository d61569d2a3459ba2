"""A model as TensorBoard's Graphs tab shows it, drawn from what `torch.export` traces."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch.export  # takes seconds to import, so this module is imported only where a graph is asked for
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.versions_pb2 import VersionDef
from torch import Tensor, nn
from torch.fx import Node

from trainer.engine.rng import Generators
from trainer.models.mode import evaluating


def graph(model: nn.Module, example: Tensor) -> GraphDef:
    """The operations of `model` in evaluation mode on `example` (1, ...), each within the modules that it belongs to.

    A node of an operation has its name in torch and the shapes of its outputs; parameters and buffers are nodes, too.

    Raises:
        Exception: of any kind, where the model cannot be exported.
    """
    generators = Generators()
    before = generators.state_dict()
    try:
        with evaluating(model), _quietly():
            exported = torch.export.export(model, (example,))
    finally:
        generators.load_state_dict(before)  # a model that draws numbers trains as it would without a picture
    given = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    names: dict[Node, str] = {}
    found = GraphDef(versions=VersionDef(producer=22))
    for node in exported.graph.nodes:
        if node.op == "placeholder" and not node.users:
            continue  # a buffer that only training needs, say
        if node.op == "placeholder" and node.name in given:
            spec = given[node.name]
            names[node] = (spec.target or node.name).replace(".", "/")
            op = spec.kind.name.lower().removeprefix("user_")  # parameter, buffer, input
        else:
            modules = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
            scope = modules[-1].replace(".", "/") if modules else ""
            names[node] = f"{scope}/{node.name}" if scope else node.name
            op = getattr(node.target, "__name__", str(node.target)).partition(".")[0]  # without its overload
        inputs = [names[source] for source in node.all_input_nodes]
        found.node.append(NodeDef(name=names[node], op=op, input=inputs, attr=_shapes(node.meta.get("val"))))
    return found


@contextmanager
def _quietly() -> Iterator[None]:
    """Within the block nothing is printed, logged or warned of: torch shows how far it came with a hard model."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _shapes(value: Any) -> dict[str, AttrValue]:
    """TensorBoard's attribute for the shapes of one output or of several."""
    outputs = value if isinstance(value, list | tuple) else [value]
    shapes = [
        TensorShapeProto(dim=[TensorShapeProto.Dim(size=int(size)) for size in output.shape])
        for output in outputs
        if isinstance(output, Tensor)
    ]
    return {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes))} if shapes else {}
