"""The random generators: each goes on from a checkpoint exactly, and all start from the seed."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainer import checkpoint
from trainer.engine import rng
from trainer.engine.state import State

Draw = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    yield
    torch.set_rng_state(before[0])
    random.setstate(before[1])
    np.random.set_state(before[2])


def dropped() -> list[Any]:
    return nn.functional.dropout(torch.ones(20), 0.5).tolist()


DRAWS: dict[str, Draw] = {
    "torch": lambda: torch.rand(5).tolist() + torch.randn(3).tolist() + torch.randperm(9).tolist(),
    "dropout": dropped,
    "python": lambda: [random.random(), random.randrange(10**30), *random.sample(range(99), 5)],
    "python's normal numbers, which come in pairs": lambda: [random.gauss(0, 1)],
    "numpy": lambda: [*np.random.rand(4).tolist(), *np.random.permutation(7).tolist()],
    "numpy's normal numbers, which come in pairs": lambda: np.random.randn(3).tolist(),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("before", [0, 1, 700])
def test_a_generator_goes_on_where_it_was(name: str, before: int) -> None:
    draw = DRAWS[name]
    for _ in range(before):
        draw()
    kept = rng.Generators().state_dict()
    expected = [draw(), draw()]
    rng.seed(99)
    rng.Generators().load_state_dict(kept)
    assert [draw(), draw()] == expected


def test_states_survive_a_checkpoint(tmp_path: Path) -> None:
    for draw in DRAWS.values():
        draw()
    checkpoint.write(tmp_path / "last.pt", {"w": torch.zeros(1)}, {"x": 1}, rng=rng.Generators().state_dict())
    expected = [draw() for draw in DRAWS.values()]
    rng.Generators().load_state_dict(checkpoint.read(tmp_path / "last.pt").training["rng"])
    assert [draw() for draw in DRAWS.values()] == expected


def test_states_are_of_the_moment_they_were_taken(tmp_path: Path) -> None:
    """A checkpoint is written while training draws on."""
    kept = rng.Generators().state_dict()
    expected = [draw() for draw in DRAWS.values()]
    rng.Generators().load_state_dict(kept)
    assert [draw() for draw in DRAWS.values()] == expected


def test_looking_at_states_draws_nothing() -> None:
    rng.seed(5)
    rng.Generators().state_dict()
    looked = [draw() for draw in DRAWS.values()]
    rng.seed(5)
    assert [draw() for draw in DRAWS.values()] == looked


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_seed_starts_all_of_them(seed: int) -> None:
    def drawn() -> list[Any]:
        rng.seed(seed)
        return [draw() for draw in DRAWS.values()]

    found = drawn()
    assert drawn() == found
    torch.manual_seed(seed)
    assert DRAWS["torch"]() == found[0]  # as everybody seeds torch


def test_other_seeds_give_other_numbers() -> None:
    found = []
    for seed in (1, 2):
        rng.seed(seed)
        found.append([draw() for draw in DRAWS.values()])
    assert all(one != other for one, other in zip(*found, strict=True))


def test_devices_that_are_not_here_are_left_out() -> None:
    kept = rng.Generators().state_dict()
    expected = torch.rand(3)
    rng.Generators().load_state_dict(
        kept | {"cuda": [torch.zeros(16, dtype=torch.uint8)], "mps": torch.zeros(44, dtype=torch.uint8)}
    )
    assert torch.equal(torch.rand(3), expected)


def test_a_run_that_shares_its_process_draws_as_it_would_alone() -> None:
    rng.seed(5)
    own = rng.Own()
    expected = torch.rand(3), torch.rand(3)
    before = torch.get_rng_state()
    found = [torch.rand(3, generator=own.cpu)]
    kept = own.state_dict()
    found.append(torch.rand(3, generator=own.cpu))
    assert all(map(torch.equal, found, expected))
    own.load_state_dict(kept)
    assert torch.equal(torch.rand(3, generator=own.cpu), expected[1])
    assert torch.equal(torch.get_rng_state(), before)  # nothing of it is the process's


def test_a_run_that_shared_its_process_goes_on_alone() -> None:
    rng.seed(5)
    own = rng.Own()
    expected = [draw() for draw in DRAWS.values()]
    rng.seed(6)
    rng.Generators().load_state_dict(own.state_dict())
    assert [draw() for draw in DRAWS.values()] == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpus_generator_goes_on_where_it_was() -> None:
    torch.rand(3, device="cuda")
    kept = rng.Generators().state_dict()
    expected = torch.rand(3, device="cuda")
    torch.rand(3, device="cuda")
    rng.Generators().load_state_dict(kept)
    assert torch.equal(torch.rand(3, device="cuda"), expected)


def test_a_state_within_larger_memory_is_set_like_any_other() -> None:
    """torch reads such a one from elsewhere, and crashes."""
    generators = rng.Generators()
    kept = generators.state_dict()
    drawn = torch.rand(3)
    kept["cpu"] = torch.cat([kept["cpu"], kept["cpu"]])[len(kept["cpu"]) :]
    generators.check_state(kept, State())
    generators.load_state_dict(kept)
    assert torch.equal(torch.rand(3), drawn)
