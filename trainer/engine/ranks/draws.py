"""Random numbers that a model draws for its samples: each rank draws those of the whole batch, and takes its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# It is torch's only way to see what is drawn below its functions, where dropout, stochastic depth and noise of any
# model come from the same dozen operators. The module has an underscore, as everybody's uses of it have; where torch
# moves it, nothing starts, and the tests of masks fail.

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
DRAWING = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU, nn.RNNBase, nn.MultiheadAttention)  # others of torch's
EVERY = 64  # steps between two looks at whether a model draws outside of such layers


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within `of`, whatever `model` draws for its samples is drawn as one process would, which has all of them.

    All ranks have generators in the same state, draw the same numbers, and keep those of their own `rows`: so masks do
    not depend on how many ranks there are, and the generators stay in step. What is drawn has a dimension of samples
    where one is as long as the part: the first that is, or else the first of all, if it is a multiple of that.
    Anything else, as noise on weights, is the same on each rank, as it is for all samples of one process. Only how much
    RReLU draws depends on the samples themselves.

    To see every operator costs 7 us for each, a tenth of a small model's step. So torch's layers of dropout draw by
    themselves, other layers that may draw are watched while they run, and all the rest of the model is looked at now
    and then: for good once something was drawn there.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows, self.own, self.whole = slice(0, 0), 0, 0
        self.steps = 0
        self.elsewhere = False  # whether anything was drawn outside of the layers that are known to draw
        self._watching = self._known = self._rests = False  # the model; a layer that may draw; nothing just now
        self._draws: dict[Any, bool] = {}  # whether an operator draws
        for layer in model.modules():
            _give_forward(layer, self)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Ranks compile nothing, and to keep its compiler away torch would import it: a second in the first step."""
        return False

    def __deepcopy__(self, memo: Any) -> "Draws":
        return self

    @contextmanager
    def of(self, rows: slice, own: int, whole: int) -> Iterator[None]:
        """Within the block, the model computes `own` samples: `rows` of a batch of `whole`."""
        self.rows, self.own, self.whole = rows, own, whole
        looks = self.elsewhere or self.steps % EVERY == 0
        self.steps += 1
        with self._watched() if looks else nullcontext():
            yield

    def rest(self) -> None:
        """Let layers draw for whatever they are given. Until here a backward pass may compute them once more."""
        self.own = self.whole = 0

    def dropped(self, layer: Any, plain: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """What a layer of dropout, one of `DROPOUTS`, makes of `inputs`; `plain` is its own forward."""
        if not layer.training or not 0 < layer.p < 1:
            return plain(inputs)
        channels = type(layer) is not nn.Dropout
        # Numbers are drawn in the order of memory, which for images is that of the activations.
        laid = inputs.dim() == 4 and not channels and inputs.is_contiguous(memory_format=torch.channels_last)
        plainly = laid or channels or inputs.is_contiguous()
        if inputs.device.type != "cpu" or inputs.shape[:1] != (self.own,) or not plainly:
            seen: Tensor = self.watched(layer, plain, inputs)
            return seen
        shape = [self.whole, *(inputs.shape[1:2] if channels else inputs.shape[1:])]
        form = torch.channels_last if laid else torch.contiguous_format
        self._rests = True
        noise = torch.empty(shape, dtype=inputs.dtype, memory_format=form).bernoulli_(1 - layer.p)
        self._rests = False
        own = noise[self.rows.start : self.rows.start + self.own].div_(1 - layer.p)
        if channels:
            own = own.view(*own.shape, *(1 for _ in inputs.shape[2:]))
        found: Tensor = inputs.mul_(own) if layer.inplace else inputs * own
        return found

    def watched(self, layer: nn.Module, plain: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `plain`, the forward of a layer, gives, while all that is drawn in it is drawn for all samples."""
        if not layer.training:
            return plain(*args, **kwargs)
        before, self._known = self._known, True
        with self._watched():
            found = plain(*args, **kwargs)
        self._known = before
        return found

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Within the block every operator is seen, once."""
        if self._watching:
            yield
            return
        self._watching = True
        try:
            with self:
                yield
        finally:
            self._watching = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        draws = self._draws.get(func)
        if draws is None:
            draws = self._draws[func] = torch.Tag.nondeterministic_seeded in func.tags
        if not draws or self._rests:
            return func(*args, **kwargs)
        self.elsewhere = self.elsewhere or not self._known
        return self._drawn(func, args, kwargs)

    def _drawn(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        places = [self._place(_shape(given)) for given in args]
        place = next(filter(None, places), None)
        if place is None:
            return func(*args, **kwargs)
        pairs = zip(args, places, strict=True)
        whole = [given if of is None else self._whole(given, *of) for given, of in pairs]
        found = func(*whole, **kwargs)
        written = [declared.alias_info is not None for declared in func._schema.arguments[: len(args)]]
        for given, all_of_it, is_written in zip(args, whole, written, strict=True):
            if is_written and all_of_it is not given:
                given.copy_(self._cut(all_of_it, *place))
        if found is whole[0]:
            return args[0]
        if isinstance(found, tuple):
            return tuple(self._cut(each, *place) for each in found)
        return self._cut(found, *place)

    def _place(self, shape: Sequence[int]) -> tuple[int, int] | None:
        """The dimension of samples, and how many numbers of it each sample has."""
        if not shape or self.own == self.whole:
            return None
        if self.own in shape:
            return list(shape).index(self.own), 1
        each, more = divmod(shape[0], self.own)
        return (0, each) if each and not more and self.own > 1 else None

    def _whole(self, given: Any, dim: int, each: int) -> Any:
        """A tensor, or a shape, as one process has it; other samples than the rank's are 0."""
        shape = list(_shape(given))
        shape[dim] = self.whole * each
        if not isinstance(given, Tensor):
            return shape
        # Numbers are drawn in the order of memory, and so the whole lies in it as the part does.
        strides = given.stride()
        order = sorted(range(given.dim()), key=lambda side: (-strides[side], side))
        made = given.new_zeros([shape[side] for side in order]).permute(
            [order.index(side) for side in range(len(order))]
        )
        self._cut(made, dim, each).copy_(given)
        return made

    def _cut(self, whole: Tensor, dim: int, each: int) -> Tensor:
        """The rank's own samples."""
        return whole.narrow(dim, self.rows.start * each, self.own * each)


def _shape(given: Any) -> Sequence[int]:
    """The shape of a tensor, or one that is given; of anything else ()."""
    if isinstance(given, Tensor):
        return given.shape
    return given if isinstance(given, list | tuple) and all(isinstance(side, int) for side in given) else ()


def _give_forward(layer: Any, draws: Draws) -> None:
    """Let a layer that may draw do so by `draws`."""
    if type(layer) in DROPOUTS:
        layer.forward = partial(draws.dropped, layer, layer.forward)
    elif isinstance(layer, DRAWING) or _is_small(layer):
        layer.forward = partial(draws.watched, layer, layer.forward)


def _is_small(layer: nn.Module) -> bool:
    """Whether it is a layer of somebody's own without others within it, and without parameters: as for random depth."""
    own = type(layer).__module__.split(".")[:2] != ["torch", "nn"]
    return own and not [*layer.children()] and not [*layer.parameters()]
