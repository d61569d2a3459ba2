"""`trainer check`: each fault that is planted is found by its look, and none is found where nothing is wrong."""

import re
from pathlib import Path

import planting
import pytest
from conftest import Ran, Trainer

from trainer.preflight import looks

CLEAN = ("rows", "values", "images")
# The looks that also report a fault that is not theirs: what is planted has two sides.
ALSO = {
    "balance": {"labels"},  # of one sample of a class nothing can be said
    "scales_constant": {"labels"},
    "contradictions": {"labels", "leaks"},
}


def checked(trainer: Trainer, kind: str, *args: str) -> Ran:
    """`trainer check` of a planted data set."""
    folder = Path("configs/data")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "planted.yaml").write_text(f"_target_: planting.Planted\nkind: {kind}\n")
    return trainer("check", "data=planted", "model=linear", "data.val_fraction=0", *args)


def reported(ran: Ran) -> list[str]:
    """What was looked at, of each finding that is wrong or worth knowing."""
    return [found[1] for found in re.finditer(r"^  (?:WRONG|note)  +(.*?)  ", ran.out, re.MULTILINE)]


def test_a_fault_ends_with_exit_code_1_and_says_what_to_type(trainer: Trainer) -> None:
    ran = checked(trainer, "leaks", "check.only=leaks,batches")
    assert ran.code == 1
    assert re.search(r"WRONG +leaks +'column 6' alone: error 0\.\d%; all other columns together: \d\d\.\d%", ran.out)
    assert "-> if it is not known beforehand, leave it out" in ran.out
    assert re.search(r"ok +batches +7 steps an epoch, of 64 samples each", ran.out)
    assert "1 thing is wrong (2 looks" in ran.err


def test_without_a_fault_nothing_is_wrong_and_nothing_is_left_behind(trainer: Trainer) -> None:
    ran = checked(trainer, "rows", "check.only=[data]")
    assert (ran.code, reported(ran)) == (0, []), ran.out
    assert re.search(rf"^nothing wrong \({len(looks.chosen(['data']))} looks in ", ran.out, re.MULTILINE)
    assert not Path("runs").exists()


def test_a_mistake_of_the_user_is_that_of_train(trainer: Trainer) -> None:
    ran, trained = trainer("check", "model=lenett"), trainer("train", "model=lenett")
    assert (ran.code, ran.err) == (2, trained.err)
    ran = trainer("check", "check.only=leak")
    assert (ran.code, ran.err) == (2, "error: check.only=leak: no such choice\n  did you mean 'leaks'?\n")


def test_areas_and_looks_can_be_chosen() -> None:
    every = looks.chosen([])
    assert {look.area for look in every} <= set(looks.AREAS)
    assert looks.chosen(["data"]) == [look for look in every if look.area == "data"]
    assert [look.name for look in looks.chosen(["threads", "leaks"])] == ["leaks", "threads"]
    assert len({*looks.AREAS, *(look.name for look in every)}) == len(looks.AREAS) + len(every), "a name of two things"


@pytest.mark.parametrize("look", looks.chosen([]), ids=lambda look: look.name)
def test_a_look_says_what_it_looks_at_and_the_documentation_explains_it(look: looks.Look) -> None:
    assert look.about
    page = Path(__file__).parent.parent / "docs" / "check.md"
    assert f"| `{look.name}` |" in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in planting.KINDS if kind not in CLEAN])
def test_a_planted_fault_is_found_by_its_look(trainer: Trainer, kind: str) -> None:
    name = {"absent": "balance", "blank": "constant", "channel": "constant"}.get(kind, kind.partition("_")[0])
    ran = checked(trainer, kind, f"check.only={name}")
    assert len(reported(ran)) == 1, ran.out


@pytest.mark.slow
@pytest.mark.parametrize("kind", CLEAN)
def test_what_is_planted_has_no_other_fault(trainer: Trainer, kind: str) -> None:
    assert reported(checked(trainer, kind)) == []
