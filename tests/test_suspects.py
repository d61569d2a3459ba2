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
    for one in range(4):
        wrong, certain = 0, 0
        for number in (given == one).nonzero()[:, 0].tolist():
            above = [other for other in range(4) if likely[number, other] >= mean[other]]
            best = max(above, key=lambda other: float(likely[number, other]), default=None)
            certain += best is not None
            wrong += best not in (None, one)
        doubtful = sorted(
            (float(likely[number, one]), number, int(likely[number].argmax()))
            for number in range(300)
            if given[number] == one and likely[number].argmax() != one
        )
        listed += doubtful[: round(int((given == one).sum()) * wrong / certain)]
    listed.sort()
    found = suspected(likely, given)
    assert found.numbers.tolist() == [number for _, number, _ in listed]
    assert found.suggested.tolist() == [best for _, _, best in listed]
    assert len(listed) > 50


def test_a_class_without_samples_and_labels_without_doubt_have_no_suspects() -> None:
    likely = torch.eye(3, dtype=torch.float64)
    assert not len(suspected(likely, torch.arange(3)).numbers)
    assert not len(suspected(likely[:2], torch.arange(2)).numbers)
