"""`trainer train from=RUN` with other classes or columns: what fits is kept, the rest is made anew and said."""

import shutil
from pathlib import Path

import pytest
import torch
from conftest import Trainer
from running import SILENT, evaluate, reported, same, train, weights
from torch import Tensor, nn

from trainer import checkpoint, models
from trainer.checkpoint import Checkpoint
from trainer.models.transfer import Transfer
from trainer.system.errors import CheckpointError

FOLDER = (*SILENT, "data=folder", "data.path=images", "data.batch_size=8", "epochs=1", "optim.lr=1e-9")


def taken(before: nn.Module, now: nn.Module, **description: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The state that `now` gets of a checkpoint of `before`, and what is said."""
    said: list[str] = []
    found = Checkpoint(Path("run.pt"), before.state_dict(), {"columns": description.get("trained", [])})
    transfer = Transfer(found, description.get("columns", []), description.get("classes"), said.append)
    return transfer(now, found.model, found.path), said


def network(inputs: int, outputs: int, hidden: int = 4) -> nn.Module:
    return nn.ModuleDict({"fc1": nn.Linear(inputs, hidden), "fc2": nn.Linear(hidden, outputs)})


def test_what_fits_is_kept_and_the_last_layer_made_anew() -> None:
    before, now = network(5, 10), network(5, 3)
    state, said = taken(before, now, classes=["a", "b", "c"])
    fresh, old = now.state_dict(), before.state_dict()
    assert same(state, {**old, "fc2.weight": fresh["fc2.weight"], "fc2.bias": fresh["fc2.bias"]})
    assert said == ["kept 2 of 4 tensors of run.pt; made anew: fc2 (10 -> 3 classes)"]


def test_nothing_is_said_where_all_fits() -> None:
    before, now = network(5, 3), network(5, 3)
    state, said = taken(before, now)
    assert same(state, before.state_dict())
    assert said == []


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"run.pt does not fit the model: fc1.weight is 4x5, expected 7x5"):
        taken(network(5, 3), network(5, 3, hidden=7))
    with pytest.raises(CheckpointError, match=r"fc1\.weight is missing"):
        taken(nn.Linear(5, 3), network(5, 3))


def test_columns_are_matched_by_name() -> None:
    before, now = network(3, 2), network(4, 2)
    state, said = taken(before, now, trained=["a", "b", "c"], columns=["c", "new", "a", "other"])
    old, fresh = before.state_dict()["fc1.weight"], now.state_dict()["fc1.weight"]
    assert torch.equal(state["fc1.weight"], torch.stack([old[:, 2], fresh[:, 1], old[:, 0], fresh[:, 3]], dim=1))
    assert same({k: v for k, v in state.items() if k != "fc1.weight"}, dict(list(before.state_dict().items())[1:]))
    assert said == ["fc1.weight: the weights of 2 of 4 columns are kept, by their names"]


def test_as_many_columns_of_other_names_are_no_reason_to_keep_their_weights() -> None:
    before, now = network(2, 2), network(2, 2)
    state, said = taken(before, now, trained=["a", "b"], columns=["b", "a"])
    assert torch.equal(state["fc1.weight"], before.state_dict()["fc1.weight"].flip(1))
    state, said = taken(before, now, trained=["a", "b"], columns=["c", "d"])
    assert torch.equal(state["fc1.weight"], now.state_dict()["fc1.weight"])
    assert said == ["kept 3 of 4 tensors of run.pt; made anew: fc1 (4 -> 4 outputs)"]


def test_a_path_beside_the_layers_is_matched_by_name_too() -> None:
    keys = {"out_features": 2, "hidden": 4, "activation": "relu", "skip": True}
    before, now = (models.make("mlp", in_features=2, **keys) for _ in range(2))
    nn.init.normal_(before.get_parameter("skip.weight"))
    state, _ = taken(before, now, trained=["a", "b"], columns=["b", "a"])
    for name in ("fc1.weight", "skip.weight"):
        assert torch.equal(state[name], before.state_dict()[name].flip(1)), name


def test_a_model_that_is_too_large_is_refused_before_it_takes_memory() -> None:
    with torch.device("meta"):
        huge = nn.ModuleDict({"fc1": nn.Linear(5, 4), "fc2": nn.Linear(2**25, 2**25)})
    with pytest.raises(CheckpointError, match="too large for this machine"):
        taken(network(5, 3), huge)


def with_third_class(images: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(images / split / "dark", images / split / "third")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (("model=cifar_lenet",), "kept 8 of 10 tensors"),
        (("model=timm", "model.arch=test_resnet", "data.size=40"), "kept 60 of 62 tensors"),
    ],
)
def test_a_network_is_fine_tuned_on_other_classes(
    trainer: Trainer, images: Path, typed: tuple[str, ...], kept: str
) -> None:
    run = train(trainer, *FOLDER, *typed)
    with_third_class(images)
    ran = trainer("train", f"from={run}", *FOLDER, "data.val_fraction=0", "max_steps=1", "output=tuned")
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert "(2 -> 3 classes)" in said
    (tuned,) = (path.parent for path in Path("tuned").rglob("result.json"))
    before, after = weights(run, "best"), weights(tuned, "previous")
    other = {name for name in before if before[name].shape != after[name].shape}
    assert len(other) == 2
    assert f"kept {len(before) - 2} of {len(before)} tensors" in said
    assert all(torch.equal(before[name], after[name]) for name in before.keys() - other)
    assert evaluate(trainer, f"ckpt={tuned}") == reported(tuned)
    assert trainer("resume", str(tuned), "max_steps=2").code == 0


def test_a_grey_folder_goes_on_from_a_network_of_colour_images(trainer: Trainer, images: Path) -> None:
    network = ("model=timm", "model.arch=test_resnet", "data.size=40")
    run = train(trainer, *FOLDER, *network)
    grey = train(trainer, f"from={run}", *FOLDER, "data.channels=1", "data.size=40", "max_steps=1", "output=grey")
    assert same(weights(grey, "previous"), weights(run, "best"))


def test_weights_come_from_one_place(trainer: Trainer, images: Path) -> None:
    run = train(trainer, *FOLDER, "model=timm", "model.arch=test_resnet", "data.size=40")
    ran = trainer("train", f"from={run}", *FOLDER, "model.weights=DEFAULT")
    assert ran.code == 2
    assert "from= and model.weights= are two sets of weights" in ran.err


def test_another_architecture_goes_before_the_checkpoints(trainer: Trainer, images: Path) -> None:
    run = train(trainer, *FOLDER, "model=timm", "model.arch=test_resnet", "data.size=40")
    ran = trainer("train", f"from={run}", *FOLDER, "model=resnet18", "data.size=40")
    assert ran.code == 2
    assert "does not fit the model" in ran.err


def test_a_table_with_another_column_goes_on_from_the_others(trainer: Trainer, empty: Path) -> None:
    rows = [f"{n % 9},{n % 7},{n * n % 11},{'high' if n % 7 > 3 else 'low'}" for n in range(80)]
    Path("first.csv").write_text("\n".join(["a,b,c,kind", *rows]))
    swapped = [",".join(row.split(",")[i] for i in (2, 1, 0, 1, 3)) for row in rows]
    Path("second.csv").write_text("\n".join(["c,b,a,more,kind", *swapped]))
    table = (*SILENT, "data=csv", "data.target=kind", "epochs=1", "optim.lr=1e-9", "data.batch_size=null")
    run = train(trainer, *table, "data.path=first.csv", "model=mlp")
    ran = trainer("train", f"from={run}", *table, "data.path=second.csv", "output=second")
    assert ran.code == 0, ran.err
    assert "the weights of 3 of 4 columns are kept, by their names" in " ".join(ran.out.split())
    (second,) = (path.parent for path in Path("second").rglob("result.json"))
    before, after = weights(run)["fc1.weight"], weights(second)["fc1.weight"]
    torch.testing.assert_close(after[:, [2, 1, 0]], before, rtol=0, atol=1e-6)
    assert checkpoint.read(second).description["columns"] == ["c", "b", "a", "more"]
