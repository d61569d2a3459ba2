"""Several ranks come to the weights, the figures and the random numbers of one process."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from ranked import ALONE, Crew, crew, trained

COMMON = ("precision=float64", "device=cpu", "data.limit=203", "data.batch_size=32", "epochs=2", "seed=3")


@pytest.fixture(scope="module")
def two() -> Iterator[Crew]:
    with crew(2) as made:
        yield made


@pytest.fixture(scope="module")
def three() -> Iterator[Crew]:
    with crew(3) as made:
        yield made


def check(made: Crew, *words: str, within: float = 1e-10) -> dict[str, Any]:
    """Compare a training of a crew with that of one process, which is returned."""
    words = (*COMMON, *words)
    alone = trained(ALONE, *words)
    for other in made.do(trained, *words):
        assert other["weights"].keys() == alone["weights"].keys()
        for name, values in alone["weights"].items():
            difference = (other["weights"][name].double() - values.double()).abs().max()
            assert difference <= within, (name, float(difference))
        assert torch.equal(other["drawn"], alone["drawn"])
        assert other["state"] == alone["state"]
        for row, same in zip(other["rows"], alone["rows"], strict=True):
            assert row == pytest.approx(same, abs=1e-9)
    return alone


@pytest.mark.parametrize("words", [("model=linear",), ("model=mlp",), ("model=lenet", "data.size=16")])
def test_same(two: Crew, words: tuple[str, ...]) -> None:
    check(two, *words)
