"""A module as a graph without Python: what torch.export makes of it."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch.export import Dim, ExportedProgram

from trainer.export.served import Served
from trainer.models.mode import evaluating
from trainer.system.errors import ConfigError, first_line

_LOUD = ("torch.onnx", "torch.export", "torch._dynamo", "torch.fx", "onnxscript", "onnx_ir")
_OF_THE_SOURCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")


def exported(served: Served, model: str) -> ExportedProgram:
    """The graph of `served`, for any number of samples, without the paths of the machine that it was made on.

    `model` is what the user calls the model.

    Raises:
        ConfigError: The model decides by the values of its inputs, or otherwise is no graph.
    """
    prepare = served.prepare
    example = prepare.example
    sides = {side: Dim(name, min=1) for side, name in prepare.free.items()}
    shapes = dict.fromkeys(example, sides) if isinstance(example, dict) else sides
    with evaluating(served), torch.no_grad(), silent():
        try:
            program = torch.export.export(served, (example,), dynamic_shapes=(shapes,))
        except Exception as error:  # torch has a dozen classes for it, and the model may be anybody's
            raise _refused(model, error) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for name in _OF_THE_SOURCE:
                    node.meta.pop(name, None)
    return program


def _refused(model: str, error: Exception) -> ConfigError:
    weights = "or take format=safetensors, which holds the weights alone"
    hint = f"write its forward with tensor operations (torch.where, torch.cond), {weights}"
    text = str(error).lower()
    if "data-dependent" in text or "data dependent" in text:
        return ConfigError(
            f"model={model} cannot be exported: its forward decides by the values of its inputs, and a graph cannot",
            hint,
        )
    if "batch" in text and "constraint" in text:
        return ConfigError(
            f"model={model} cannot be exported: its forward takes one number of samples only",
            f"use x.shape[0] or -1, {weights}",
        )
    return ConfigError(f"model={model} cannot be exported: {type(error).__name__}: {first_line(error)}", hint)


@contextmanager
def silent() -> Iterator[None]:
    """Keep what libraries say of their own work from the user: what fails, raises."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
