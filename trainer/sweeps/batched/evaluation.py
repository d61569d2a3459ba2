"""The evaluation of several models at once."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

from torch import Tensor

from trainer.data.batches import Batches
from trainer.engine.evaluator import Evaluator, evaluate
from trainer.engine.metrics import Evaluation
from trainer.sweeps.batched.batches import together
from trainer.sweeps.batched.stack import Stack
from trainer.system.errors import StoppedError


def of_each(
    stack: Stack, evaluators: Sequence[Evaluator], split: str, stopped: Callable[[], object]
) -> list[Evaluation]:
    """Evaluate each of the stacked models on the split of its own data.

    Raises:
        StoppedError: `stopped` said so before the last batch.
    """
    first, batches = evaluators[0], [evaluator.batches(split) for evaluator in evaluators]
    loss = first.loss
    if all(own.source is batches[0].source for own in batches):
        forward, metric = partial(stack, shared=True), first.metric(len(evaluators))
        return evaluate(forward, batches[0], loss.of_each, loss.mean, metric, stopped)
    outputs: list[list[Tensor]] = [[] for _ in evaluators]
    for each in zip_longest(*batches):
        if stopped():
            raise StoppedError
        present = [place for place, batch in enumerate(each) if batch is not None]
        filled = [batch[0] if batch is not None else each[present[0]][0][:0] for batch in each]
        found = stack(together(filled), shared=False)
        for place in present:
            outputs[place].append(found[place, : len(filled[place])])
    return [_evaluated(*own) for own in zip(evaluators, batches, outputs, strict=True)]


def _evaluated(evaluator: Evaluator, batches: Batches, outputs: list[Tensor]) -> Evaluation:
    """The evaluation of a model whose outputs are there already."""
    given, loss = iter(outputs), evaluator.loss
    (found,) = evaluate(lambda inputs: next(given), batches, loss.function, loss.mean, evaluator.metric())
    return found
