"""`train`, `eval` and `inspect` from end to end, on small real data."""

import io
import json
import pickle
import re
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pretending
import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import Trainer
from formats import write_cifar10
from PIL import Image
from processes import Machine
from running import QUICK, SILENT, checkpoint, evaluate, reported, result, rows, same, train, weights

from trainer import data
from trainer.config.composition import group_choices
from trainer.data.sets.digits import Digits

DIABETES = (*SILENT, "model=linear", "data=diabetes", "data.limit=64", "data.val_fraction=0.1", "optim=sgd")
IMAGES = {"digits": 1, "mnist": 1, "fashion_mnist": 1, "cifar10": 3, "folder": 3, "images": 3}  # channels
TESTED = ("loss", "accuracy", "top5", "balanced_accuracy", "f1", "auc", "average_precision")
TABLES = ("csv", "table", "diabetes", "regression", "line", "quadratic")


# --- a run directory ----------------------------------------------------------------------------------


def test_a_run_directory_has_everything(trainer: Trainer) -> None:
    typed = ["data.limit=100", "epochs=2", "name=first", "seed=3", "optim.weight_decay=0.1"]
    run = train(trainer, *typed)
    assert re.fullmatch(r"runs/first/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?", str(run))
    found = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    (events,) = (name for name in found if name.startswith("events.out.tfevents."))
    pictures = {f"plots/{name}.png" for name in ("curves", "samples", "filters")}
    pictures |= {f"test/{name}.png" for name in ("confusion", "reliability", "roc", "predictions")}
    files = {"README.md", "report.html", "config.yaml", "overrides.yaml", "origin.json", "metrics.jsonl"}
    files |= {"result.json", "train.log"}
    files |= {f"test/{name}.csv" for name in ("predictions", "per_class", "suspects")}
    assert found - {events} == files | pictures | {f"checkpoints/{name}.pt" for name in ("last", "previous", "best")}
    for picture in pictures:
        with Image.open(run / picture) as image:
            assert min(image.size) > 100
    assert (run / events).stat().st_size > 1000

    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["seed"], config["data"]["limit"], config["optim"]["weight_decay"]) == (3, 100, 0.1)
    assert config["model"]["num_classes"] == "${data.num_classes}"
    assert yaml.safe_load((run / "overrides.yaml").read_text()) == typed

    lines = rows(run)
    assert [(row["epoch"], row["step"]) for row in lines] == [(1, 2), (2, 4)]
    names = {"epoch", "step", "lr", "train/loss", "val/loss", "val/accuracy", "val/top5", "seconds"}
    assert all(set(row) == names | {"samples_per_second"} for row in lines)

    said = result(run)
    best = max(lines, key=lambda row: (row["val/accuracy"], -row["val/loss"]))
    assert said["status"] == "completed"
    assert (said["epochs"], said["steps"]) == (2, 4)
    assert said["objective"] == {"name": "val/accuracy", "direction": "max", "value": best["val/accuracy"]}
    assert said["best_epoch"] == best["epoch"]
    assert set(said["metrics"]) == {*(f"test/{name}" for name in TESTED), "train/loss"}
    assert said["metrics"]["train/loss"] == lines[-1]["train/loss"]
    assert said["seconds"] > 0
    assert said["samples_per_second"] > 0
    assert said["environment"]["torch"] == str(torch.__version__)
    assert set(said["per_class"]) == set("0123456789")

    log = (run / "train.log").read_text()
    assert "21,840 parameters" in log
    assert f"trainer eval {run}" in log


def test_a_model_that_a_constant_answer_equals_is_warned_of(trainer: Trainer) -> None:
    ran = trainer("train", *SILENT, "model=linear", "data=diabetes", "epochs=1")
    assert re.search(
        r"done, below the mean\n  judgement +the test R² is -\d+\.\d+, below 0: the mean of the targets", ran.out
    )
    Path("coin.csv").write_text("x,y\n" + "".join(f"{n % 7},{'ab'[n % 10 == 0]}\n" for n in range(100)))
    ran = trainer("train", *SILENT, "model=linear", "data=csv", "data.path=coin.csv", "data.target=y", "epochs=1")
    assert "done, at chance" in ran.out
    assert "a constant answer does as well" in ran.out
    ran = trainer("train", *QUICK, "epochs=5", "optim.lr=0.01")
    assert "done, at chance" not in ran.out


def test_the_objective_may_be_a_figure_of_rare_classes(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=3", "objective=val/balanced_accuracy", "data.val_fraction=0.5")
    values = [row["val/balanced_accuracy"] for row in rows(run)]
    assert result(run)["objective"] == {"name": "val/balanced_accuracy", "direction": "max", "value": max(values)}
    assert "val/f1" not in rows(run)[0]  # what nothing asks for is not computed in each epoch
    assert set(evaluate(trainer, f"ckpt={run}")) == {f"test/{name}" for name in TESTED}
    ran = trainer("train", *SILENT, "model=linear", "data=diabetes", "objective=val/auc")
    assert ran.code == 2
    assert "objective=val/auc: this run has no such metric" in ran.err


def test_what_is_switched_off_is_not_written(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "data.val_fraction=0")
    assert not list(run.glob("events*"))
    assert not list((run / "plots").iterdir())
    assert not (run / "checkpoints" / "best.pt").exists()
    assert result(run)["best_epoch"] is None


def test_pictures_of_a_regression_show_its_fit(trainer: Trainer) -> None:
    run = train(trainer, "model=linear", "data=line", "epochs=2", "tensorboard.enabled=false")
    assert {p.name for p in (run / "plots").iterdir()} == {"curves.png", "fit.png"}


def test_runs_of_one_second_get_a_directory_each(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending.timestamps(monkeypatch)
    names = [train(trainer, *QUICK).name for _ in range(3)]
    assert names == ["2026-01-31_12-00-00", "2026-01-31_12-00-00-1", "2026-01-31_12-00-00-2"]


def test_a_checkpoint_is_plain_and_describes_itself(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "data.split_seed=5")
    last, best = checkpoint(run), checkpoint(run, "best")
    assert (last["format"], last["version"]) == ("trainer", 2)
    assert (last["epoch"], last["step"], last["batch"], last["reported"]) == (1, 2, 0, 0)
    assert last["best"]["value"] == result(run)["objective"]["value"]
    assert set(last["rng"]) == {"cpu", "cuda", "mps", "python", "numpy"}
    assert set(last["optimizer"]) == {"state", "param_groups"}
    assert set(last["scheduler"]) == {"laid_out", "per_step", "per_epoch"}
    assert len(last["losses"]) == 0
    assert last["logs"] == {"metrics.jsonl": (run / "metrics.jsonl").stat().st_size}
    assert last["early_stopping"] is None
    assert last["parent"] is None
    assert 0 < last["seconds"] < result(run)["seconds"]
    assert "cpu" in last["compute"]
    assert not {"optimizer", "rng", "losses"} & set(best)
    assert all(type(version) is str for version in last["versions"].values())
    assert {k: tuple(v.shape) for k, v in best["model"].items()} == {"linear.weight": (10, 784), "linear.bias": (10,)}
    description = json.loads(best["description"])
    assert description["model"] == {"name": "linear", "in_features": 784, "out_features": 10}
    assert description["data"]["name"] == "digits"
    assert description["data"]["split_seed"] == 5
    assert description["classes"] == list("0123456789")


def test_the_environments_secrets_are_nowhere_in_a_run(
    trainer: Trainer, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t-of-the-environment"
    monkeypatch.setenv("TRAINER_TEST_SECRET", secret)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (empty / "configs" / "data").mkdir(parents=True)
    (empty / "configs" / "data" / "guarded.yaml").write_text(
        "# Points behind a token.\n_target_: guarded_points.Points\ntoken: ${oc.env:TRAINER_TEST_SECRET}\n"
        "header: {login: [me, '${data.token}']}\n"
    )
    (empty / "guarded_points.py").write_text(
        "import torch\n\nclass Points:\n    def __init__(self, token, header):\n"
        "        assert header['login'][1] == token == 's3cr3t-of-the-environment'\n"
        "        x = torch.linspace(0, 1, 40)[:, None]\n        self.train, self.test = (x, 2 * x), (x, 2 * x)\n"
    )
    run = train(trainer, "model=linear", "data=guarded", "epochs=1", "plots=false")
    sys.modules.pop("guarded_points")
    for path in run.rglob("*"):
        assert secret not in str(path)
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


# --- evaluation ---------------------------------------------------------------------------------------


def test_eval_of_a_run_gives_its_test_metrics_to_the_bit(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "model=lenet", "epochs=3", "data.batch_size=16")
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
    assert evaluate(trainer, f"ckpt={run}/checkpoints/best.pt") == reported(run)


def test_eval_says_what_it_evaluated(trainer: Trainer) -> None:
    run = train(trainer, *QUICK)
    ran = trainer("eval", f"ckpt={run}", "split=val")
    assert f"{run}/checkpoints/best.pt (epoch 1)" in ran.out
    assert "digits, val split, 10 samples" in ran.out
    assert "accuracy" in ran.out


def test_eval_takes_the_last_weights_where_there_is_no_validation_set(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=2", "data.val_fraction=0")
    assert "last.pt (epoch 2)" in trainer("eval", f"ckpt={run}").out
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


def test_eval_takes_the_best_weights_and_not_the_last(trainer: Trainer) -> None:
    # From zero upwards: each epoch is worse than the one before.
    run = train(trainer, *DIABETES, "epochs=3", "optim.lr=1.1", "data.batch_size=null")
    values = [row["val/loss"] for row in rows(run)]
    assert values[0] == min(values)
    assert "best.pt (epoch 1)" in trainer("eval", f"ckpt={run}").out
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
    assert evaluate(trainer, f"ckpt={run}", "split=val")["val/loss"] == values[0]
    last = evaluate(trainer, f"ckpt={run}/checkpoints/last.pt", "split=val")
    assert last["val/loss"] == values[-1]


@pytest.mark.parametrize(("split", "count"), [("train", 90), ("val", 10), ("test", 100)])
def test_eval_of_each_split_is_what_plain_torch_finds(trainer: Trainer, split: str, count: int) -> None:
    run = train(trainer, *QUICK, "epochs=2")
    config = Digits(limit=100, cache=None)
    inputs, targets = digits(config, split)
    assert len(targets) == count
    best = weights(run, "best")
    logits = F.linear(inputs.flatten(1), best["linear.weight"].double(), best["linear.bias"].double())
    found = evaluate(trainer, f"ckpt={run}", f"split={split}")
    assert found[f"{split}/accuracy"] == pytest.approx(float((logits.argmax(1) == targets).double().mean()))
    assert found[f"{split}/loss"] == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-5)


def digits(config: Digits, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    loaded = data.load(config)
    chosen = loaded.split(split)
    assert loaded.mean
    assert loaded.std
    return (chosen.inputs.double() / 255 - loaded.mean[0]) / loaded.std[0], chosen.targets


def saved_on_a_gpu(state: dict[str, torch.Tensor], path: Path) -> None:
    """As `torch.save` writes tensors of `cuda:0`: the storages' location is another word in the pickle."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(path, "w") as written:
        for info in archive.infolist():
            content = archive.read(info)
            if info.filename.endswith("data.pkl"):
                word = pickle.BINUNICODE + b"%c\0\0\0"
                assert (word % 3) + b"cpu" in content
                content = content.replace((word % 3) + b"cpu", (word % 6) + b"cuda:0")
            written.writestr(info, content)


STRANGERS: dict[str, Callable[[dict[str, torch.Tensor], Path], None]] = {
    "plain": torch.save,
    "legacy": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "parallel": lambda state, path: torch.save({f"module.{k}": v for k, v in state.items()}, path),
    "compiled": lambda state, path: torch.save({f"_orig_mod.{k}": v for k, v in state.items()}, path),
    "both": lambda state, path: torch.save({f"module._orig_mod.{k}": v for k, v in state.items()}, path),
    "nested": lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path),
    "gpu": saved_on_a_gpu,
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_eval_of_a_strangers_state_dict(trainer: Trainer, kind: str) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Linear(784, 10).requires_grad_(False)
    STRANGERS[kind]({f"linear.{k}": v for k, v in layer.state_dict().items()}, Path("stranger.pth"))
    inputs, targets = digits(Digits(limit=100, cache=None), "test")
    logits = layer.double()(inputs.flatten(1))
    found = evaluate(trainer, "ckpt=stranger.pth", "model=linear", "data=digits", "data.limit=100")
    assert found["test/accuracy"] == pytest.approx(float((logits.argmax(1) == targets).double().mean()))
    assert found["test/loss"] == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-5)


def test_eval_of_a_strangers_state_dict_says_that_it_is_one(trainer: Trainer) -> None:
    torch.save({"linear.weight": torch.zeros(1, 1), "linear.bias": torch.zeros(1)}, "stranger.pth")
    assert "stranger.pth (a bare state_dict)" in trainer("eval", "ckpt=stranger.pth", "model=linear", "data=line").out


# --- how training goes --------------------------------------------------------------------------------


def test_one_seed_gives_equal_weights_and_another_gives_others(trainer: Trainer) -> None:
    first, again, other = (
        weights(train(trainer, *QUICK, "model=lenet", "data.batch_size=16", "data.augment.crop=2", f"seed={seed}"))
        for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not any(torch.equal(first[k], other[k]) for k in first)


def test_weights_start_as_torchs_and_one_step_is_torchs(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "data.batch_size=null", "data.val_fraction=0", "optim=sgd", "optim.lr=0.5")
    torch.manual_seed(0)
    layer = torch.nn.Linear(784, 10).double()
    inputs, targets = digits(Digits(limit=100, val_fraction=0, cache=None), "train")
    loss = F.cross_entropy(layer(inputs.flatten(1)), targets)
    loss.backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()
    torch.testing.assert_close(weights(run)["linear.weight"].double(), layer.weight.detach(), atol=1e-6, rtol=1e-5)
    assert rows(run)[0]["train/loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_a_diverging_run_fails_and_says_where(trainer: Trainer) -> None:
    ran = trainer("train", *DIABETES, "epochs=50", "optim.lr=1e6", "data.batch_size=16")
    assert ran.code == 1
    assert len(ran.err.splitlines()) <= 2
    where = re.search(r"the loss is (nan|inf) at epoch (\d+), step (\d+)", ran.err)
    assert where
    assert "optim.lr" in ran.err
    (run,) = Path("runs/linear_diabetes").iterdir()
    said = result(run)
    assert said["status"] == "failed"
    assert where[0] in said["error"]
    assert said["metrics"] == {}
    epoch, step = int(where[2]), int(where[3])
    assert 4 * (epoch - 1) < step <= 4 * epoch  # 58 samples in batches of 16
    assert [row["epoch"] for row in rows(run)] == list(range(1, epoch))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_a_checkpoint(machine: Machine, trainer: Trainer, signum: int, code: int) -> None:
    process = machine.start("train", *SILENT, "model=linear", "data=line", "epochs=100000000")
    process.until_said(" +1 +1 ")  # the first epoch is done
    process.send(signum)
    ended = process.wait()
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    assert "last.pt" in ended.err
    (run,) = Path("runs/linear_line").iterdir()
    said = result(run)
    assert said["status"] == "interrupted"
    assert checkpoint(run)["step"] == said["steps"] > 0
    assert rows(run)[-1]["epoch"] == said["epochs"]
    assert set(evaluate(trainer, f"ckpt={run}")) == {"test/loss", "test/mse", "test/mae", "test/r2"}


def test_early_stopping_stops(trainer: Trainer) -> None:
    early = ("early_stopping.patience=2", "early_stopping.min_delta=1e9", "objective=val/loss")
    run = train(trainer, *QUICK, "epochs=9", *early)
    assert result(run)["epochs"] == len(rows(run)) == 3
    assert "no improvement for 2 evaluations" in result(run)["stopped"]


def test_max_steps_stops_within_an_epoch(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=9", "data.batch_size=9", "max_steps=13")
    assert [row["step"] for row in rows(run)] == [10, 13]
    assert result(run)["steps"] == checkpoint(run)["step"] == 13
    assert result(run)["status"] == "completed"


def test_evaluation_every_so_many_steps(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=2", "data.batch_size=9", "evaluate.every_steps=3")
    assert [row["step"] for row in rows(run)] == [3, 6, 9, 10, 12, 15, 18, 20]
    assert all("val/accuracy" in row for row in rows(run))


def test_evaluation_every_so_many_epochs(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=5", "evaluate.every_epochs=2")
    assert [row["epoch"] for row in rows(run) if "val/accuracy" in row] == [2, 4, 5]


def test_evaluation_on_the_test_split_as_the_tutorials_do(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "epochs=2", "data.val_fraction=0", "evaluate.split=test")
    assert rows(run)[-1]["test/accuracy"] == result(run)["metrics"]["test/accuracy"]
    assert not (run / "checkpoints" / "best.pt").exists()


def test_accumulated_batches_make_the_step_of_a_large_one(trainer: Trainer) -> None:
    exact = (*QUICK, "precision=float64", "epochs=2", "optim=sgd", "optim.lr=0.1")
    large = train(trainer, *exact, "data.batch_size=40")
    small = train(trainer, *exact, "data.batch_size=8", "accumulate=5")
    assert result(large)["steps"] == result(small)["steps"] == 6
    for name, weight in weights(large).items():
        torch.testing.assert_close(weights(small)[name], weight, atol=1e-12, rtol=1e-12)


def test_a_clipped_gradient_has_the_norm_asked_for(trainer: Trainer) -> None:
    step = (*QUICK, "data.batch_size=null", "optim=sgd", "optim.lr=1", "clip_norm=0.125")
    after = weights(train(trainer, *step))
    torch.manual_seed(0)
    layer = torch.nn.Linear(784, 10).requires_grad_(False)
    moved = [after["linear.weight"] - layer.weight, after["linear.bias"] - layer.bias]
    assert float(torch.cat([m.flatten() for m in moved]).norm()) == pytest.approx(0.125, rel=1e-4)


@pytest.mark.parametrize(("precision", "dtype"), [("float64", torch.float64), ("bfloat16", torch.float32)])
def test_precision_is_that_of_the_weights(trainer: Trainer, precision: str, dtype: torch.dtype) -> None:
    run = train(trainer, *QUICK, "model=lenet", f"precision={precision}")
    assert all(weight.dtype == dtype for weight in weights(run).values())
    assert evaluate(trainer, f"ckpt={run}", f"precision={precision}") == reported(run)


@pytest.mark.parametrize("name", group_choices("scheduler"))
def test_each_scheduler_trains(trainer: Trainer, name: str) -> None:
    extra = {"plateau": ("scheduler.patience=0",), "step": ("scheduler.step_size=1",)}.get(name, ())
    run = train(trainer, *QUICK, "epochs=4", f"scheduler={name}", "optim.lr=0.1", *extra)
    rates = [row["lr"] for row in rows(run)]
    assert all(0 <= rate <= 0.1 for rate in rates)
    assert (len(set(rates)) == 1) == (name in ("constant", "auto"))
    assert checkpoint(run)["scheduler"] is not None


@pytest.mark.parametrize("name", group_choices("optim"))
def test_each_optimizer_trains(trainer: Trainer, name: str) -> None:
    run = train(trainer, *QUICK, "epochs=3", f"optim={name}", "optim.lr=0.01")
    losses = [row["train/loss"] for row in rows(run)]
    assert losses[-1] < losses[0]


# --- every model on every data set --------------------------------------------------------------------


def offline(name: str, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Small files of a data set in its own format, where it is not bundled; what says where they are."""
    rng = np.random.default_rng(0)
    match name:
        case "mnist" | "fashion_mnist":
            raw = Path("data", {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name], "raw")
            raw.mkdir(parents=True)
            for part, count in (("train", 60), ("t10k", 20)):
                write_idx(raw / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28)))
                write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)
        case "cifar10":
            write_cifar10(Path("data/cifar-10-batches-py"), request.getfixturevalue("monkeypatch"))
        case "folder":
            return (f"data.path={request.getfixturevalue('images')}",)
        case "images":
            top = request.getfixturevalue("images")
            rows = [f"{path.relative_to(top)},{path.parent.name}" for path in sorted(top.rglob("*.png"))]
            (top / "labels.csv").write_text("\n".join(["file,shade", *rows]))
            return (f"data.path={top / 'labels.csv'}",)
        case "csv" | "table":
            table = [f"{i},{'red' if i % 2 else 'blue'},{i * 1.5}" for i in range(40)]
            Path("table.csv").write_text("\n".join(["size,colour,price", *table]))
            return "data.path=table.csv", "data.target=price"
    return ()


def write_idx(path: Path, values: np.ndarray) -> None:
    """MNIST's format: a magic number (8: bytes, then how many dimensions), the lengths, the bytes."""
    header = b"\0\0\x08" + bytes([values.ndim]) + np.array(values.shape, dtype=">i4").tobytes()
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def fitting(model: str) -> list[str]:
    """The data sets that a model can be trained on."""
    if model in ("linear", "mlp"):
        return [*IMAGES, *TABLES]
    return list(IMAGES)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param(model, name, marks=[pytest.mark.slow] if model == "resnet18" and name != "digits" else [])
        for model in group_choices("model")
        for name in fitting(model)
    ],
)
def test_each_model_trains_and_evaluates_on_each_data_set_that_fits(
    trainer: Trainer, request: pytest.FixtureRequest, model: str, name: str
) -> None:
    limit = ("data.limit=40",) if name in IMAGES else ()
    step = ("max_steps=1", "optim.lr=1e-4", *SILENT)
    arch = {"torchvision": ("model.arch=squeezenet1_1",), "timm": ("model.arch=test_resnet",)}.get(model, ())
    run = train(trainer, f"model={model}", *arch, f"data={name}", *offline(name, request), *limit, *step)
    assert result(run)["steps"] == 1
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


def test_every_data_set_is_in_that_test() -> None:
    assert sorted([*IMAGES, *TABLES]) == group_choices("data")


# --- inspect ------------------------------------------------------------------------------------------


def totals(out: str) -> tuple[int, int]:
    """Parameters and FLOPs of the table's last line."""
    (line,) = (line.split() for line in out.splitlines() if line.startswith("total"))
    parameters, flops = (int(cell.replace(",", "")) for cell in line[1:])
    return parameters, flops


def test_inspect_shows_layers_and_data(trainer: Trainer) -> None:
    ran = trainer("inspect", "model=lenet5", "data=digits")
    assert ran.code == 0
    table = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines() if line.startswith(("conv", "fc"))}
    assert table["conv1"][:2] == ["Conv2d", "6x28x28"]
    assert table["fc3"] == ["Linear", "10", "850", "1,680"]
    by_hand = {"conv1": 6 * 26, "conv2": 16 * 151, "fc1": 120 * 401, "fc2": 84 * 121, "fc3": 10 * 85}
    assert {name: int(cells[2].replace(",", "")) for name, cells in table.items()} == by_hand
    flops = 2 * (28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10)
    assert totals(ran.out) == (sum(by_hand.values()), flops)
    assert re.search(r"train +1,293 samples of 1x28x28 uint8", ran.out)
    counts = data.load(Digits(cache=None)).test.targets.bincount().tolist()
    rows_of_classes = [line.split() for line in ran.out.splitlines() if re.match(r"\d +\d+ ", line)]
    assert [int(row[-1]) for row in rows_of_classes] == counts


def test_inspect_shows_a_regression(trainer: Trainer) -> None:
    ran = trainer("inspect", "model=mlp", "data=diabetes", "model.hidden=7")
    assert ran.code == 0
    assert totals(ran.out) == (11 * 7 + 8, 2 * (10 * 7 + 7))
    assert "bmi" in ran.out


def test_inspect_shows_data_that_the_usual_model_is_not_for(trainer: Trainer) -> None:
    ran = trainer("inspect", "data=diabetes")
    assert ran.code == 0, ran.err
    assert "354 samples of 10 float" in ran.out
    assert "parameters" not in ran.out


def test_inspect_of_a_run_counts_its_parameters_and_draws_its_filters(trainer: Trainer) -> None:
    run = train(trainer, *QUICK, "model=cifar_lenet")
    ran = trainer("inspect", f"ckpt={run}", "inspect.out=filters.png")
    assert ran.code == 0, ran.err
    assert totals(ran.out)[0] == sum(weight.numel() for weight in weights(run).values())
    for scaling in ("per filter", "over all filters", "zero-centred", "filters.png"):
        assert scaling in ran.out
    with Image.open("filters.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 100


def test_inspect_without_a_checkpoint_draws_training_images(trainer: Trainer) -> None:
    ran = trainer("inspect", "data.limit=40", "inspect.out=grid.png")
    assert ran.code == 0, ran.err
    assert "training images: grid.png" in ran.out
    with Image.open("grid.png") as image:
        assert min(image.size) > 100


COUNTING = """
from torch import nn

EVALUATED = []  # the samples of each batch

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)

    def forward(self, inputs):
        if not self.training:
            EVALUATED.append(len(inputs))
        return self.linear(inputs.flatten(1))
"""


def test_a_run_whose_epochs_are_tested_does_not_test_the_last_weights_twice(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("counting_batches.py").write_text(COUNTING)
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/counting.yaml").write_text("_target_: counting_batches.Net\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    quick = (*QUICK, "model=counting", "epochs=2", "data.eval_batch_size=100")
    run = train(trainer, *quick, "evaluate.split=test")
    evaluated = sys.modules["counting_batches"].EVALUATED
    assert [count for count in evaluated if count > 2] == [100, 100]  # of one or two, the model's shapes are found
    assert {name: value for name, value in rows(run)[-1].items() if name.startswith("test/")}.items() <= reported(
        run
    ).items()
    evaluated.clear()
    train(trainer, *quick)
    assert [count for count in evaluated if count > 2] == [10, 10, 100]
    evaluated.clear()
    with_tables = train(trainer, *quick, "evaluate.split=test", "tables=true")  # which need what is said of each sample
    assert [count for count in evaluated if count > 2] == [100, 100, 100, 10]
    assert reported(with_tables) == reported(run)


def test_the_best_weights_are_tested_where_the_training_loss_picked_them(trainer: Trainer) -> None:
    """Also where the epochs are tested: the last epoch's figures are not theirs."""
    run = train(trainer, *QUICK, "evaluate.split=test", "objective=train/loss", "epochs=4", "optim.lr=3", "optim=sgd")
    assert reported(run) == evaluate(trainer, f"ckpt={run}")
