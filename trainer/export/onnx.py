"""`format=onnx`: an exported program as an ONNX model, which onnxruntime runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from trainer.export.columns_module import Columns
from trainer.export.columns_onnx import name_inputs
from trainer.export.program import exported, silent
from trainer.export.proof import Runner
from trainer.export.served import Served, served
from trainer.predict.predictor import Predictor
from trainer.system.errors import ConfigError

NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18  # what runtimes have had since 2023; nothing here needs a later one
_LARGEST = 2**31 - 1  # bytes of a Protocol Buffers message, which an ONNX file is


def content(predictor: Predictor, facts: Mapping[str, str]) -> bytes:
    """The bytes of a file that answers as `predictor` does, with `facts` as its metadata.

    Raises:
        ConfigError: The model cannot be exported, or is too large for one file.
    """
    module = served(predictor)
    return written(model(exported(module, predictor.config.called("model")), module), facts)


def runner(path: Path, predictor: Predictor) -> Runner:
    """The file at `path` in onnxruntime, on as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = [value.name for value in session.get_inputs()]

    def run(samples: Any) -> dict[str, Any]:
        feed = samples if isinstance(samples, dict) else {given[0]: samples}
        return dict(zip(names, session.run(names, feed), strict=True))

    return run


def model(program: ExportedProgram, served: Served) -> Any:
    """The `onnx.ModelProto` of the `program` that was made of `served`, without names of files of this machine.

    Its inputs are called as `served.prepare` says, and its outputs as `served.answer` does; sides of any length are
    called `batch`, `height` and `width`.
    """
    prepare = served.prepare
    with silent():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(prepare.names),
            output_names=list(served.answer.names),
        )
    assert made is not None
    proto = made.model_proto
    _forget(proto)
    _name_sides(proto.graph, prepare.free)
    if isinstance(prepare, Columns):
        name_inputs(proto, prepare.inputs)
    return proto


def written(proto: Any, facts: Mapping[str, str]) -> bytes:
    """The bytes of a file of the model, with `facts` as its metadata.

    Raises:
        ConfigError: It is too large for one file.
    """
    from trainer import __version__

    del proto.metadata_props[:]
    for key, value in facts.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    proto.producer_name, proto.producer_version = "trainer", __version__
    if proto.ByteSize() > _LARGEST:
        raise ConfigError("the model is larger than 2 GB, which one ONNX file cannot hold", "take format=pt2")
    found: bytes = proto.SerializeToString()
    return found


def _forget(proto: Any) -> None:
    """Take out where in whose source each node comes from."""
    proto.doc_string = ""
    for function in proto.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        _forget_nodes(function.node)
    _forget_graph(proto.graph)


def _forget_graph(graph: Any) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    _forget_nodes(graph.node)


def _forget_nodes(nodes: Iterable[Any]) -> None:
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _forget_graph(graph)


def _name_sides(graph: Any, free: Mapping[int, str]) -> None:
    """Call the sides of any length what they are, in inputs and outputs: torch numbers them."""
    sides = graph.input[0].type.tensor_type.shape.dim
    names = {sides[side].dim_param: name for side, name in free.items()}
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in names:
                side.dim_param = names[side.dim_param]
    del graph.value_info[:]  # of values between them, by the numbers of sides
