"""Weights of a model that was trained on other data: what fits is kept, and the rest is made anew."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.system.errors import CheckpointError, listed
from trainer.system.memory import free_memory

SHOWN = 3  # layers that a line names


class Transfer:
    """Takes over the weights of `found` for a model of data with these `columns`, and `classes` or None.

    A tensor fits if its name and its shape are the model's own. The first layer over columns gets the weights of the
    columns that both data have, by their names. `say` is told what is made anew.
    """

    def __init__(
        self, found: Checkpoint, columns: Sequence[str], classes: Sequence[str] | None, say: Callable[[str], None]
    ) -> None:
        self.before = list(found.description.get("columns") or ())
        self.columns, self.noun, self.say = list(columns), "outputs" if classes is None else "classes", say

    def __call__(self, model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> dict[str, Tensor]:
        """The state for `model`, which may be on torch's device `meta`: then it is only checked.

        Raises:
            CheckpointError: No weights fit, or what is to be made anew is larger than the memory.
        """
        own = model.state_dict()
        if state.keys() != own.keys():
            state = checkpoint.clean(state)
        kept = {name: state[name] for name in own if name in state and not checkpoint.misfit(state[name], own[name])}
        if self.before and self.columns and self.before != self.columns:
            first = next((name for name, values in own.items() if values.dim() == 2), "")
            named = getattr(model, "input_layers", None)
            for name in [f"{layer}.weight" for layer in named] if isinstance(named, tuple) else [first]:
                self._match_columns(name, own, state, kept)
        if not any(values.dim() > 1 for values in kept.values()):
            checkpoint.fitting(model, state, source)  # says what does not fit
        anew = {name: values for name, values in own.items() if name not in kept}
        if any(values.is_meta for values in own.values()):
            if sum(values.nbytes for values in anew.values()) > free_memory(torch.device("cpu")):
                raise CheckpointError(f"{source} describes a model that is too large for this machine")
        elif anew or state.keys() - own.keys():
            self.say(f"kept {len(kept)} of {len(own)} tensors of {source}{self._said(own, anew, state)}")
        return own | kept

    def _match_columns(
        self, name: str, own: Mapping[str, Tensor], state: Mapping[str, Tensor], kept: dict[str, Tensor]
    ) -> None:
        """Of a layer over columns keep the weights of those columns that both data have."""
        if name not in own or name not in state:
            return
        mine, there, places = own[name], state[name], {column: place for place, column in enumerate(self.before)}
        new = [place for place, column in enumerate(self.columns) if column in places]
        if tuple(mine.shape) != (len(there), len(self.columns)) or there.shape[1:] != (len(places),):
            return
        kept.pop(name, None)
        if new and mine.is_meta:
            kept[name] = mine
        elif new:
            kept[name] = mine.clone()
            kept[name][:, new] = there[:, [places[self.columns[place]] for place in new]].to(mine)
            self.say(f"{name}: the weights of {len(new)} of {len(self.columns)} columns are kept, by their names")

    def _said(self, own: Mapping[str, Tensor], anew: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
        """What is made anew, layer by layer: "; fc made anew: 10 -> 3 classes"."""
        layers: dict[str, str] = {}
        last = list(own)[-1].rpartition(".")[0]
        for name, values in anew.items():
            layer = name.rpartition(".")[0] or name
            noun = self.noun if layer == last else "outputs"
            layers.setdefault(layer, _difference(state[name], values, noun) if name in state else "")
        shown = [f"{layer}{said}" for layer, said in list(layers.items())[:SHOWN]]
        more = f", and {len(layers) - SHOWN} more layers" if len(layers) > SHOWN else ""
        return f"; made anew: {listed(shown)}{more}" if layers else ""


def _difference(before: Tensor, now: Tensor, noun: str) -> str:
    if before.shape[1:] == now.shape[1:]:
        return f" ({len(before)} -> {len(now)} {noun})"
    return f" ({'x'.join(map(str, before.shape))} -> {'x'.join(map(str, now.shape))})"
