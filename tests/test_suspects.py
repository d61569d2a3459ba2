"""Labels that are probably wrong: found as confident learning says, and named."""

import pytest
import torch

from trainer.engine.label_errors import suspected


@pytest.mark.parametrize("seed", range(5))
def test_suspects_are_those_of_a_plain_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    likely = (3 * torch.randn(300, 5, dtype=torch.float64, generator=generator)).softmax(1)
    given = torch.randint(0, 4, (300,), generator=generator)  # no sample is of the last class
    mean = [float(likely[given == one, one].mean()) for one in range(4)]
    listed = []
    for number in range(300):
        above = [one for one in range(4) if likely[number, one] >= mean[one]]
        best = max(above, key=lambda one: float(likely[number, one]), default=None)
        if best is not None and best != int(given[number]):
            listed.append((float(likely[number, given[number]]), number, best))
    listed.sort()
    found = suspected(likely, given)
    assert found.numbers.tolist() == [number for _, number, _ in listed]
    assert found.suggested.tolist() == [best for _, _, best in listed]
    assert len(listed) > 50
