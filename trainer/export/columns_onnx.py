"""Inputs of a file in ONNX's format that are called as a table's columns, and take words as text."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trainer.data.table import cells
from trainer.data.table.columns import Boolean
from trainer.export.columns import MISSING, UNKNOWN, Input
from trainer.system.errors import CheckpointError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_DOMAIN, _VERSION = "ai.onnx.ml", 3
_TEXT, _DOUBLE = 8, 11  # of `onnx.TensorProto`
_MOST = 12  # letters of a word for yes or no, which has two to the power of that many spellings


def name_inputs(model: "ModelProto", inputs: Sequence[Input]) -> None:
    """Give an exported model of `Columns` its `inputs` (N,), one for each column.

    Those of words become text: a LabelEncoder makes codes of it.

    Raises:
        CheckpointError: A word for yes or no is too long to be spelled in all ways.
    """
    from onnx import compose, helper

    graph, prefix = model.graph, "model/"
    while any(entry.name.startswith(prefix) for entry in inputs):
        prefix = f"_{prefix}"
    compose.add_prefix_graph(graph, prefix, rename_outputs=False, inplace=True)  # the plain names are the columns'
    matrices = [value.name for value in graph.input]
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    groups = [[e for e in inputs if e.words is None], [e for e in inputs if e.words is not None]]
    nodes: list[NodeProto] = []
    for group, matrix in zip(filter(None, groups), matrices, strict=True):
        nodes += _entrance(group, matrix)
    nodes += graph.node
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    for entry in inputs:
        kind = _DOUBLE if entry.words is None else _TEXT
        graph.input.append(helper.make_tensor_value_info(entry.name, kind, [batch]))
    model.opset_import.append(helper.make_opsetid(_DOMAIN, _VERSION))


def _entrance(group: list[Input], matrix: str) -> Iterator["NodeProto"]:
    """What makes a matrix (N, columns) of inputs (N,)."""
    from onnx import helper

    axis, parts = f"{matrix}/axis", []
    yield helper.make_node("Constant", [], [axis], name=axis, value_ints=[1])
    for number, entry in enumerate(group):
        given, part = entry.name, f"{matrix}/{number}"
        if entry.words is not None:
            known, given = _known(entry, entry.words), f"{part}/code"
            encoded: dict[str, Any] = {
                "keys_strings": list(known),
                "values_int64s": list(known.values()),
                "default_int64": UNKNOWN,
            }
            yield helper.make_node("LabelEncoder", [entry.name], [given], name=given, domain=_DOMAIN, **encoded)
        yield helper.make_node("Unsqueeze", [given, axis], [part], name=part)
        parts.append(part)
    yield helper.make_node("Concat", parts, [matrix], name=matrix, axis=1)


def _known(entry: Input, words: tuple[str, ...]) -> dict[str, int]:
    """The code of each text that means one; what the cells of tables say for a missing one comes before any word."""
    known: dict[str, int] = {}
    for code, word in enumerate(words):
        for spelled in _spellings(word) if isinstance(entry.column, Boolean) else (word,):
            known[spelled] = code
    return known | {spelled: MISSING for mark in cells.MISSING for spelled in _spellings(mark)}


def _spellings(word: str) -> Iterator[str]:
    """All texts that are the word in lower case."""
    letters = [sorted({letter, letter.upper()}) for letter in word]
    if sum(len(ways) > 1 for ways in letters) > _MOST:
        raise CheckpointError(f"the word {word[:60]!r} for yes or no has more than {_MOST} letters")
    for ways in itertools.product(*letters):
        spelled = "".join(ways)
        if spelled.lower() == word:
            yield spelled
