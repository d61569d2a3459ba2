"""Networks of torchvision and timm: another last layer, other channels, weights of files, freezing, preprocessing."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import yaml
from conftest import Trainer
from PIL import Image
from running import SILENT, checkpoint, evaluate, reported, result, same, train, weights
from safetensors.torch import save_file
from torch import Tensor, nn

from trainer import models
from trainer.models.head import head_parameters, last_layer
from trainer.models.mode import evaluating
from trainer.system.errors import CheckpointError, ConfigError

LIBRARY = {"torchvision": "resnet18", "timm": "test_resnet"}
SMALL = ("torchvision", "squeezenet1_1"), ("torchvision", "mobilenet_v3_small"), ("timm", "test_resnet")
QUICK = (*SILENT, "data=folder", "data.path=images", "data.batch_size=8", "optim.lr=1e-3")


def made(library: str = "torchvision", arch: str = "resnet18", channels: int = 3, **keys: Any) -> nn.Module:
    return models.make(library, arch=arch, in_channels=channels, num_classes=4, **keys)


def saved(path: Path, classes: int) -> dict[str, Tensor]:
    """A file as somebody with `classes` classes would have saved it."""
    from torchvision.models import resnet18

    state: dict[str, Tensor] = resnet18(num_classes=classes).state_dict()
    torch.save(state, path)
    return state


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


# --- what is built ------------------------------------------------------------------------------------


def test_resnet18_is_torchvisions_but_for_the_last_layer() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(3)
    whole, last = resnet18(), nn.Linear(512, 4)
    torch.manual_seed(3)
    model = made()
    expected = {**whole.state_dict(), "fc.weight": last.weight, "fc.bias": last.bias}
    assert same(model.state_dict(), expected)
    assert sum(p.numel() for p in model.parameters()) == 11_176_512 + 513 * 4
    assert model.eval()(torch.zeros(2, 3, 40, 40)).shape == (2, 4)


@pytest.mark.parametrize(
    ("arch", "last"),
    [
        ("alexnet", "classifier.6"),
        ("convnext_tiny", "classifier.2"),
        ("densenet121", "classifier"),
        ("googlenet", "fc"),
        ("inception_v3", "fc"),
        ("mobilenet_v3_small", "classifier.3"),
        ("squeezenet1_0", "classifier.1"),
        ("swin_v2_t", "head"),
        ("vit_b_16", "heads.head"),
    ],
)
def test_the_last_layer_is_found_whatever_a_network_calls_it(arch: str, last: str) -> None:
    with torch.device("meta"):
        model = made(arch=arch, freeze=True)
    assert last_layer(model, 4) == last
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {f"{last}.weight", f"{last}.bias"}


@pytest.mark.slow
def test_every_network_of_torchvision_gets_the_classes_of_the_data() -> None:
    from torchvision import models as theirs

    for arch in theirs.list_models(module=theirs):
        if "regnet" in arch and "gf" in arch:  # torchvision computes their widths with tensors: not without memory
            continue
        with torch.device("meta" if "regnet" not in arch else "cpu"):
            model = made(arch=arch)
        assert model.get_submodule(last_layer(model, 4)) is not None


def test_a_network_that_ends_in_no_linear_layer_has_no_head() -> None:
    with pytest.raises(ConfigError, match=r"its last layer, '1' \(BatchNorm1d\), does not give 4 outputs"):
        head_parameters(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), 4)
    with pytest.raises(ConfigError, match="does not give 5 outputs"):
        head_parameters(nn.Sequential(nn.Linear(3, 4)), 5)


def test_a_distilled_network_of_timm_has_two_heads() -> None:
    model = made("timm", "deit_tiny_distilled_patch16_224", freeze=True)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == ["head.weight", "head.bias", "head_dist.weight", "head_dist.bias"]
    assert {id(p) for p in head_parameters(model, 4)} == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize(("library", "arch"), SMALL)
def test_a_grey_image_is_seen_in_all_three_channels(library: str, arch: str) -> None:
    torch.manual_seed(0)
    colour = made(library, arch).eval()
    torch.manual_seed(0)
    grey = made(library, arch, channels=1).eval()
    assert same(colour.state_dict(), grey.state_dict())
    images = torch.rand(2, 1, 48, 48)
    assert torch.equal(grey(images), colour(images.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(("library", "arch"), SMALL)
def test_images_of_more_channels_get_a_first_layer_of_their_own(library: str, arch: str, tmp_path: Path) -> None:
    torch.save(made(library, arch).state_dict(), tmp_path / "colour.pth")
    model = made(library, arch, channels=5, weights=str(tmp_path / "colour.pth")).eval()
    assert model(torch.rand(2, 5, 48, 48)).shape == (2, 4)
    state, colour = model.state_dict(), torch.load(tmp_path / "colour.pth", weights_only=True)
    (other,) = {name for name in state if state[name].shape != colour[name].shape}
    assert state[other].shape[1] == 5
    assert changed(colour, {**state, other: colour[other]}) == set()


def test_a_network_with_more_heads_is_trained_with_its_last_one(tmp_path: Path) -> None:
    from torchvision.models import googlenet

    theirs = googlenet(init_weights=False)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    model = made(arch="googlenet", weights=str(tmp_path / "weights.pth"))
    theirs.transform_input, theirs.fc = True, model.fc  # as torchvision does for its weights
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model.eval()(images), theirs.eval()(images))
    assert model.train()(images).shape == (2, 4)


def test_only_networks_of_the_library_itself_have_a_name() -> None:
    for arch in ("hf-hub:somebody/model", "local-dir:/tmp", "resnet18.mine", "os.system", ""):
        with pytest.raises(ConfigError, match=f"model.arch={arch}: timm has no such"):
            made("timm", arch)
    with pytest.raises(ConfigError, match="torchvision has no such network") as caught:
        made(arch="fasterrcnn_resnet50_fpn")
    assert "alexnet" in caught.value.hint or "did you mean" in caught.value.hint


def test_timm_is_asked_for_where_it_is_missing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    ran = trainer("train", "model=timm", "model.arch=resnet18")
    assert ran.code == 2
    assert ran.err.split("\n")[:2] == [
        "error: model=timm needs timm, which is not installed",
        "  pip install 'trainer-cli[timm]'",
    ]


# --- weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [7, 1000])
def test_weights_of_a_file_with_other_classes_are_taken_but_for_the_last_layer(tmp_path: Path, classes: int) -> None:
    state = saved(tmp_path / "weights.pth", classes)
    found = made(weights=str(tmp_path / "weights.pth")).state_dict()
    assert found["fc.weight"].shape == (4, 512)
    assert all(torch.equal(found[k], v) for k, v in state.items() if not k.startswith("fc."))


def test_weights_of_a_file_with_as_many_classes_are_taken_whole(tmp_path: Path) -> None:
    state = saved(tmp_path / "weights.pth", 4)
    assert same(made(weights=str(tmp_path / "weights.pth")).state_dict(), state)


@pytest.mark.parametrize("library", LIBRARY)
def test_weights_are_read_from_safetensors(tmp_path: Path, library: str) -> None:
    state = made(library, LIBRARY[library]).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    assert same(made(library, LIBRARY[library], weights=str(tmp_path / "weights.safetensors")).state_dict(), state)
    (tmp_path / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is damaged"):
        made(library, LIBRARY[library], weights=str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize("library", LIBRARY)
def test_weights_of_another_network_are_refused(tmp_path: Path, library: str) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights\.pth does not fit the model: conv1\..*weight is missing"):
        made(library, LIBRARY[library], weights=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("library", LIBRARY)
@pytest.mark.parametrize(
    "failure", [URLError("no network"), TimeoutError("timed out"), RuntimeError("invalid hash value")]
)
def test_weights_that_cannot_be_downloaded_say_so(
    failure: Exception, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: Any, **kwargs: Any) -> None:
        raise failure

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(CheckpointError, match="cannot be downloaded") as caught:
        made(library, "resnet18", weights="DEFAULT")
    assert {"torchvision": "download.pytorch.org/models/resnet18", "timm": "timm/resnet18.a1_in1k"}[library] in (
        caught.value.message
    )
    assert "model.weights=FILE" in caught.value.hint


@pytest.mark.parametrize("library", LIBRARY)
def test_default_weights_are_downloaded_once_and_read_without_running_them(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import ResNet18_Weights

    imagenet = models.make(library, arch="resnet18", in_channels=3, num_classes=1000).state_dict()
    asked = []

    def download(url: str, path: str, digest: str | None) -> None:
        asked.append((url, digest))
        save_file(imagenet, path) if path.endswith(".safetensors") else torch.save(imagenet, path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for channels in (3, 1):
        found = made(library, channels=channels, weights="DEFAULT").state_dict()
        assert {name.split(".")[0] for name in changed(imagenet | {"fc.weight": torch.zeros(1)}, found)} == {"fc"}
    url = "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    assert asked == [{"torchvision": (ResNet18_Weights.DEFAULT.url, "f37072fd"), "timm": (url, None)}[library]]


def test_a_pickle_in_the_cache_of_weights_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import pickle

    class Runs:
        def __reduce__(self) -> Any:
            return os.system, ("touch ran",)

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(pickle.dumps(Runs()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(CheckpointError):
        made(weights="DEFAULT")
    assert not Path("ran").exists()


# --- freezing -----------------------------------------------------------------------------------------


def test_freezing_trains_only_the_last_layer() -> None:
    assert [k for k, p in made(freeze=True).named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert all(p.requires_grad for p in made().parameters())


def test_frozen_batch_normalisation_stays_in_evaluation_mode() -> None:
    model = made(freeze=True)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for _ in range(2):
        assert model.training
        assert len(norms) == 20
        assert not any(norm.training for norm in norms)
        with evaluating(model):
            assert not any(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("library", "arch", "how"),
    [
        ("torchvision", "mobilenet_v3_small", ()),
        ("timm", "test_resnet", ()),
        ("timm", "test_resnet", ("on_nan=skip", "accumulate=2")),
        pytest.param("timm", "test_resnet", ("compile=inductor",), marks=pytest.mark.slow),
    ],
)
def test_freezing_leaves_all_but_the_last_layer_to_the_bit(
    trainer: Trainer, images: Path, library: str, arch: str, how: tuple[str, ...]
) -> None:
    before = models.make(library, arch=arch, in_channels=3, num_classes=1000).state_dict()
    torch.save(before, "imagenet.pth")
    network = (f"model={library}", f"model.arch={arch}", "model.weights=imagenet.pth", "model.freeze=true")
    run = train(trainer, *QUICK, *network, *how, "data.size=40", "epochs=2", "evaluate.every_steps=1")
    after = weights(run)
    head = {name for name, value in before.items() if after[name].shape != value.shape}
    assert changed({k: v for k, v in before.items() if k not in head}, after) == set()
    assert len(head) == 2
    assert evaluate(trainer, f"ckpt={run}") == reported(run)  # needs neither the file nor the flag
    again = train(trainer, *QUICK, f"from={run}", "model.freeze=true", "epochs=1", "output=again")
    tuned = weights(again)
    assert changed(after, tuned) == head


def test_a_frozen_training_is_resumed_to_the_bit(trainer: Trainer, images: Path) -> None:
    network = (*QUICK, "model=timm", "model.arch=test_resnet", "model.freeze=true", "data.size=40", "epochs=3")
    whole, cut = train(trainer, *network), train(trainer, *network, "max_steps=4", "output=cut")
    ran = trainer("resume", str(cut), "max_steps=null")
    assert ran.code == 0, ran.err
    assert same(weights(cut), weights(whole))


def test_frozen_networks_are_trained_side_by_side_as_alone(trainer: Trainer, images: Path) -> None:
    network = (*QUICK, "model=timm", "model.arch=test_resnet", "model.freeze=true", "data.size=40", "epochs=1")
    ran = trainer("train", "-m", *network, "sweep=batched", "optim.lr=1e-3,1e-2")
    assert ran.code == 0, ran.err
    assert "runs by itself: batch normalisation keeps running means of one model" in " ".join(ran.out.split())
    alone = train(trainer, *network, "optim.lr=1e-2", "output=alone")
    (job,) = Path("runs/sweeps").glob("*/*/1")
    assert same(weights(job), weights(alone))


# --- whole trainings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "arch"),
    [
        ("timm", "test_efficientnet"),
        pytest.param("torchvision", "resnet18", marks=pytest.mark.slow),
        pytest.param("torchvision", "mobilenet_v3_small", marks=pytest.mark.slow),
        pytest.param("torchvision", "efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("torchvision", "squeezenet1_1", marks=pytest.mark.slow),
        pytest.param("timm", "test_vit", marks=pytest.mark.slow),
    ],
)
def test_a_network_is_trained_from_a_file_and_evaluated(
    trainer: Trainer, images: Path, library: str, arch: str
) -> None:
    torch.save(models.make(library, arch=arch, in_channels=3, num_classes=1000).state_dict(), "imagenet.pth")
    network = (f"model={library}", f"model.arch={arch}", "model.weights=imagenet.pth")
    size = 160 if arch == "test_vit" else 64
    run = train(trainer, *QUICK, *network, f"data.size={size}", "epochs=2")
    assert run.parent == Path(f"runs/{arch}_folder")
    assert result(run)["status"] == "completed"
    assert evaluate(trainer, f"ckpt={run}") == reported(run)
    assert f"model {arch}, " in " ".join(trainer("inspect", f"ckpt={run}").out.split())


def test_a_folder_of_grey_images_trains_a_network_of_colour_images(trainer: Trainer, images: Path) -> None:
    for path in images.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    network = (*QUICK, "model=timm", "model.arch=test_resnet", "data.channels=1", "data.size=40", "epochs=1")
    run = train(trainer, *network)
    assert weights(run)["conv1.0.weight"].shape[1] == 3
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


# --- preprocessing ------------------------------------------------------------------------------------

FROM_FILE = (*QUICK, "model=torchvision", "model.arch=squeezenet1_1", "model.weights=w.pth", "max_steps=1")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture
def squeezenet(empty: Path) -> None:
    torch.save(models.make("torchvision", arch="squeezenet1_1", in_channels=3, num_classes=1000).state_dict(), "w.pth")


def described(run: Path) -> tuple[Any, ...]:
    import json

    data = json.loads(checkpoint(run)["description"])["data"]
    assert "preprocess" not in data
    return tuple(data[key] for key in ("size", "resize", "mean", "std"))


def test_what_weights_were_trained_with_is_offered_and_taken(trainer: Trainer, images: Path, squeezenet: None) -> None:
    ran = trainer("train", *FROM_FILE, "data.size=24")
    assert ran.code == 0
    offered = "squeezenet1_1: its weights were trained with data.size=224 data.resize=256 data.mean=[0.485,0.456,0.406]"
    assert offered in " ".join(ran.out.split())
    ran = trainer("train", *FROM_FILE, "data.preprocess=weights", "output=taken")
    assert ran.code == 0
    assert "its weights were trained with" not in " ".join(ran.out.split())
    (run,) = (path.parent for path in Path("taken").rglob("config.yaml"))
    assert described(run) == (224, 256, MEAN, STD)
    written = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (written["size"], written["resize"], written["preprocess"]) == (224, 256, None)
    assert evaluate(trainer, f"ckpt={run}") == reported(run)


def test_what_is_typed_goes_before_what_weights_were_trained_with(
    trainer: Trainer, images: Path, squeezenet: None
) -> None:
    run = train(trainer, *FROM_FILE, "data.preprocess=weights", "data.size=56")
    assert described(run) == (56, 64, MEAN, STD)
    grey = ("data.preprocess=weights", "data.size=56", "data.resize=56", "data.channels=1", "output=grey")
    assert described(train(trainer, *FROM_FILE, *grey)) == (56, 56, [0.449], [0.226])


def test_preprocessing_is_refused_without_weights(trainer: Trainer, images: Path) -> None:
    for model, words in (
        (("model=resnet18",), "model.weights=null has no pretrained weights"),
        (("model=cifar_lenet",), "model=cifar_lenet takes no pretrained weights"),
    ):
        ran = trainer("train", *QUICK, *model, "data.preprocess=weights")
        assert (ran.code, len(ran.err.splitlines())) == (2, 2)
        assert words in ran.err


def test_images_of_a_size_that_a_network_cannot_take_are_refused_in_a_line(trainer: Trainer, images: Path) -> None:
    for arch, size in (("inception_v3", 299), ("vit_b_32", 224)):
        ran = trainer("train", *QUICK, "model=torchvision", f"model.arch={arch}")
        assert (ran.code, len(ran.err.splitlines())) == (2, 2), ran.err
        assert f"model={arch} fails on data=folder of shape (3, 32, 32)" in ran.err
        assert f"data.size={size}" in ran.err
    assert not Path("runs").exists()
