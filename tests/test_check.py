"""`trainer check`: each fault that is planted is found by its look, and none is found where nothing is wrong."""

import re
import shutil
from pathlib import Path

import numpy as np
import planting
import pytest
from conftest import Ran, Trainer
from running import QUICK, train

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
    return [found[1] for found in re.finditer(r"^  (?:WRONG  |note   )(\S.*?)  ", ran.out, re.MULTILINE)]


def test_a_fault_ends_with_exit_code_1_and_says_what_to_type(trainer: Trainer) -> None:
    ran = checked(trainer, "leaks", "check.only=leaks,batches")
    assert ran.code == 1
    assert re.search(r"WRONG +leaks +'column 6' alone: error 0\.\d%; all other columns together: \d\d\.\d%", ran.out)
    assert "-> if it is not known beforehand: leave it out of the samples" in ran.out
    assert re.search(r"ok +batches +7 steps an epoch, of 64 samples each", ran.out)
    assert "1 thing is wrong (2 looks" in ran.err
    assert "check.only=leaks" in ran.err


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


def table(path: str, faulty: str) -> None:
    """300 rows with a column `kind` that two others tell; `faulty` is what the column `extra` holds."""
    draw = np.random.default_rng(3)
    size, weight = draw.normal(size=(2, 300))
    kinds = size + weight + draw.normal(size=300) > 0
    extras = {"noise": draw.normal(size=300), "leak": np.where(kinds, 7.5, -7.5) + draw.normal(size=300)}
    extras["numbers"] = draw.permutation(300) + 5000.0
    lines = [
        f"{s:.4f},{w:.4f},{e:.4f},{'yes' if k else 'no'}"
        for s, w, e, k in zip(size, weight, extras[faulty], kinds, strict=True)
    ]
    Path(path).write_text("\n".join(["size,weight,the extra,kind", *lines]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faulty", "found", "advice"),
    [
        ("noise", [], ""),
        ("leak", ["leaks"], "-> if it is not known beforehand: 'data.drop=[the extra]'"),
        ("numbers", ["identifiers"], "-> 'data.drop=[the extra]'"),
    ],
)
def test_what_is_to_be_typed_for_a_table_helps(trainer: Trainer, faulty: str, found: list[str], advice: str) -> None:
    table("table.csv", faulty)
    words = ("data=table.csv", "data.target=kind", "check.only=data")
    ran = trainer("check", *words)
    assert (reported(ran), ran.code) == (found, int(found == ["leaks"])), ran.out
    if found:
        assert advice in ran.out
        assert reported(trainer("check", *words, "data.drop=[the extra]")) == []


@pytest.mark.slow
def test_a_test_file_of_other_rows_and_one_of_the_same_are_told(trainer: Trainer) -> None:
    table("table.csv", "noise")
    header, *lines = Path("table.csv").read_text().splitlines()
    moved = [
        ",".join([f"{float(cell) + 4:.4f}" for cell in line.split(",")[:3]] + line.split(",")[3:]) for line in lines
    ]
    Path("moved.csv").write_text("\n".join([header, *moved]))
    Path("same.csv").write_text("\n".join([header, *lines[:100]]))
    words = ("data=table.csv", "data.target=kind", "check.only=data")
    assert reported(trainer("check", *words, "data.test_path=moved.csv")) == ["test against train"]
    assert reported(trainer("check", *words, "data.test_path=same.csv")) == ["copies in test"]


@pytest.mark.slow
def test_files_that_cannot_be_read_and_wrong_moments_are_told(trainer: Trainer, images: Path) -> None:
    light = images / "train" / "light"
    for number in range(100):
        shutil.copy(light / f"{number % 12}.png", light / f"again{number}.png")
    (light / "broken.png").write_bytes((light / "0.png").read_bytes()[:60])
    words = ("model=linear", "data=folder", "data.path=images", "data.size=16", "check.only=reading,normalisation")
    assert reported(trainer("check", *words)) == ["reading"]
    ran = trainer("check", *words, "data.mean=[150,150,150]", "data.std=[70,70,70]")
    assert reported(ran) == ["normalisation", "reading"]
    advised = re.search(r"the training images have mean=\[(.*?)\] std=\[(.*?)\]", ran.out)
    assert advised is not None
    words = (*words, f"data.mean=[{advised[1]}]", f"data.std=[{advised[2]}]")
    assert reported(trainer("check", *words)) == ["reading"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("data.batch_size=1000",), ["batches"]),
        (("accumulate=20",), ["batches"]),
        (("data.batch_size=399",), ["batches"]),
        (("data.batch_size=399", "data.drop_last=true"), []),
        (("data.batch_size=null",), []),
    ],
)
@pytest.mark.slow
def test_batches_that_do_not_divide_the_samples_well_are_told(
    trainer: Trainer, words: tuple[str, ...], found: list[str]
) -> None:
    assert reported(checked(trainer, "rows", *words, "check.only=batches")) == found


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("data=digits",),
        ("data=diabetes", "model=mlp", "check.only=data,machine"),
        ("experiment=line", "check.only=data,machine"),
        ("experiment=quadratic", "check.only=data,machine"),
        ("experiment=linear_regression", "check.only=data,machine"),
    ],
    ids=lambda words: words[0],
)
def test_nothing_is_reported_of_recipes(trainer: Trainer, words: tuple[str, ...]) -> None:
    ran = trainer("check", *words)
    assert (reported(ran), ran.code) == ([], 0), ran.out


@pytest.mark.slow
def test_a_training_from_the_weights_of_a_run_is_looked_at(trainer: Trainer) -> None:
    run = train(trainer, *QUICK)
    ran = trainer("check", f"from={run}", "data.limit=100", "check.only=data,machine")
    assert ran.code == 0
    assert ran.out.startswith(f"check  from {run}, device auto")
    assert "7,850 parameters" in ran.out
