"""What people type: what is taken as it is meant, and the words that answer a mistake."""

import functools
import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from trainer.cli import arguments, early, main, no_verb, spelling
from trainer.config import composition, index, registry, synonyms
from trainer.system.errors import UserError

FILES = {
    "houses.csv": "area,rooms,price\n80,3,200\n90,4,250\n",
    "labels.csv": "file,label\na.jpg,cat\nb.jpg,dog\n",
    "photos/cat/a.jpg": "",
    "photos/dog/b.jpg": "",
    "archive.zip": "",
    "houses.xlsx": "",
    "letter.docx": "",
    "foo.yaml": "epochs: 1\n",
    "net.pt": "",
}


@pytest.fixture
def furnished(empty: Path) -> Path:
    """A folder with a table, a table of images, a folder of them, and files that are none of these."""
    for name, text in FILES.items():
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_text(text)
    return empty


def checked(words: list[str]) -> Any:
    """The config of a command line, checked as far as that goes without torch."""
    if words[0] not in registry.verbs():
        raise no_verb.mistake(words)
    given = arguments.read(words[0], words[1:])
    with composition.explained():
        parsed = OverridesParser.create().parse_overrides(given.prepared())
    plain = [p.is_force_add() and p.key_or_group not in registry.GROUPS for p in parsed]
    choosing = [str(p.input_line) for p, is_plain in zip(parsed, plain, strict=True) if not is_plain]
    shared, choices = _composed(given.name, *choosing)
    cfg: DictConfig = OmegaConf.create(OmegaConf.to_container(shared, resolve=False))
    for p, is_plain in zip(parsed, plain, strict=True):
        if is_plain:
            OmegaConf.update(cfg, p.key_or_group, p.value(), force_add=True)
    config = main.checked(words[0], cfg, given.words, dict(choices))
    early.check(words[0], config)
    return config


@functools.cache  # Hydra takes 55 ms for each
def _composed(name: str, *choosing: str) -> tuple[DictConfig, dict[str, str]]:
    with composition.ready():
        return composition.compose(name, choosing)


# Each mistake, and the words that the two lines of its answer have.
MISTAKES: dict[str, tuple[str, ...]] = {
    # a key by its last word, or as another program calls it
    "train lr=0.1": ("lr: no such key", "did you mean 'optim.lr'?"),
    "train batch_size=32": ("'data.batch_size'",),
    "train patience=5": ("'early_stopping.patience'",),
    "train dropout=0.1": ("'model.dropout'",),
    "train hidden=32": ("model=mlp has 'model.hidden': model=mlp model.hidden=...",),
    "train momentum=0.9": ("optim=sgd, optim=rmsprop have 'optim.momentum'",),
    "train optim.momentum=0.9": ("optim=sgd, optim=rmsprop have it",),
    "train every_steps=4": ("'checkpoint.every_steps', 'evaluate.every_steps' or 'tensorboard.every_steps'",),
    "train data.path=photos": ("data=folder, data=images, data=table have it",),
    "train target=price": ("have 'data.target'",),
    "train learning_rate=0.1": ("'optim.lr'",),
    "train optim.learning_rate=0.1": ("'optim.lr'",),
    "train optimizer.lr=0.1": ("'optim.lr'",),
    "train lerning_rate=0.1": ("'optim.lr'",),
    "train optimizer=adam": ("'optim'",),
    "train lr_scheduler=cosine": ("'scheduler'",),
    "train dataset=mnist": ("'data'",),
    "train bs=32": ("'data.batch_size'",),
    "train batchsize=32": ("'data.batch_size'",),
    "train num_workers=4": ("'data.workers'",),
    "train weight_decay=0.1": ("'optim.weight_decay'",),
    "train wd=0.1": ("'optim.weight_decay'",),
    "train max_epochs=3": ("'epochs'",),
    "train trainer.max_epochs=3": ("'epochs'",),
    "train random_state=1": ("'seed'",),
    "train grad_clip=1": ("'clip_norm'",),
    "train output_dir=x": ("'output'",),
    "train val_split=0.2": ("'data.val_fraction'",),
    "train augment=strong": ("did you mean data.augment=strong?",),
    "train metric=f1": ("did you mean metrics=f1?",),
    "train augmentation=strong": ("'data.augment.preset'",),
    "train gpu=true": ("'device=cuda'",),
    "train amp=true": ("'precision=bfloat16'",),
    "train ckpt=runs/x": ("'from'",),
    "train resume=runs/x": ("trainer resume RUN", "from=RUN"),
    "train nothing_like_it=1": ("nothing_like_it: no such key", "trainer train --help"),
    "eval net.pt epochs=3": ("it is a key of trainer train",),
    "serve net.pt host=0.0.0.0": ("'serve.host'",),
    "export net.pt fmt=onnx": ("'format'",),
    # choices and values
    "train data=mnits": ("data=mnits", "did you mean 'mnist'?"),
    "train model=resnet50": ("model=torchvision model.arch=resnet50",),
    "train precision=fp16": ("precision=bfloat16",),
    "train precision=amp": ("precision=bfloat16",),
    "train device=foo": ("device=foo: no such device", "choose from: auto, cpu, cuda, mps"),
    "train device=cuda:x": ("device=cuda:x", "cuda:0"),
    "train optim.lr=0,1": ("a decimal comma, or two values?", "optim.lr=0.1", "-m optim.lr=0,1"),
    "train seed=1,2,3": ("several values for one run", "-m seed=1,2,3"),
    "train data=mnist,digits": ("several values for one run", "-m data=mnist,digits"),
    "train optim.betas=0.9,0.99": ("[0.9,0.99]",),
    "train early_stopping.patience=3,5": ("several values for one run",),
    "train model=mlp model.hidden=64,64": ("a list is [64,64]",),
    "train scheduler=cosine scheduler.eta_min=0": ("'scheduler.min_lr'",),
    "train log_interval=10": ("'tensorboard.every_steps'",),
    "train data=folder data.path=houses.csv": ("data.path=houses.csv is no folder", "data=table"),
    "train early_stopping=5": ("a section", "early_stopping.patience"),
    "train checkpoint=runs/x": ("from=runs/x",),
    "train optim.lr=": ("optim.lr= is empty", "optim.lr=VALUE"),
    "train data=folder data.path=": ("data.path= is empty",),
    "train early_stopping.patience=": ("null is none",),
    "train data.folds=fife": ("data.folds=fife: wrong type", "a whole number or null"),
    "train data.batch_size=[32,64]": ("wrong type", "-m data.batch_size=32,64"),
    "train tensorboard=false": ("did you mean tensorboard.enabled=false?",),
    "train seeds=3": ("-m seed=0,1,2",),
    "train nproc_per_node=2": ("did you mean 'devices'?",),
    "train nnodes=2": ("torchrun or srun",),
    "train model=resnet18 pretrained=true": ("'model.weights=DEFAULT'",),
    "train model.arch=resnet50": ("model=torchvision, model=timm have it",),
    "train model=net.pt": ("from=net.pt",),
    "train model=mynet.py": ("configs/model/mynet.yaml", "_target_: mynet.CLASS"),
    "train optim=Adam(lr=0.1)": ("optim=adam optim.lr=0.1",),
    "train optim.lr=logspace(1,2)": ("range(...)",),
    "eval net.pt batch_size=1": ("'data.batch_size'",),
    # files and folders
    "train data=./photos/cat/a.jpg": ("one image", "data=FOLDER"),
    "train data=nowhere.csv": ("no such file or folder", "data=FILE.csv"),
    "train data=./foto": ("data=./foto", "did you mean 'photos'?"),
    "train data=house.csv": ("did you mean 'houses.csv'?",),
    "train data=archive.zip": ("packed", "unpack it"),
    "train data=houses.xlsx": ("save it as .csv",),
    "train data=./letter.docx": ("neither a folder nor a table",),
    "train data=houses.csv": ("data.target= is missing", "area, rooms, price"),
    "train data=folder data.path=fotos": ("data.path=fotos: no such folder",),
    "train data=table data.path=house.csv data.target=price": ("data.path=house.csv: no such file",),
    "train from=nothing.pt": ("from=nothing.pt: no such file",),
    "eval nett.pt": ("no such file", "did you mean net.pt?"),
    "eval photos": ("a directory without a run",),
    "eval latest": ("there is no run with a checkpoint in runs yet",),
    "predict net.pt input=nothing.jpg": ("input=nothing.jpg: no such file",),
    "train --config nothing.yaml": ("--config nothing.yaml: no such file",),
    # words and flags
    "train lenet mnist": ("did you mean model=lenet data=mnist?",),
    "train model:lenet": ("did you mean model=lenet?",),
    "train lr 0.1": ("did you mean optim.lr=VALUE?",),
    "train bar.yaml": ("there is no file bar.yaml",),
    "train net.pt": ("from=net.pt",),
    "train -v": ("train.log", "trainer --version"),
    "train --lr=0.1": ("did you mean 'optim.lr'?",),
    "train --epoch 3": ("did you mean epochs=VALUE?",),
    "train --batch-size 32": ("did you mean 'data.batch_size'?",),
    "train =3": ("KEY=VALUE",),
    "train .lr=3": ("'.lr' is no key",),
    "eval net.pt houses.csv": ("are two of them", "trainer runs A B"),
    "train -lr 0.1": ("'optim.lr'",),
    "train --resume runs/x": ("trainer resume RUN",),
    "export net.pt onnx": ("did you mean format=onnx?",),
    "export net.pt model.onnx": ("did you mean out=model.onnx?",),
    "serve net.pt 8000": ("did you mean port=8000?",),
    "predict net.pt photos --top 5": ("'predict.top'",),
    "runs sort=accuracy": ("'runs.sort'",),
    # verbs
    "fit": ("did you mean: trainer train",),
    "evaluate runs/x": ("did you mean: trainer eval runs/x",),
    "test runs/x": ("did you mean: trainer eval runs/x",),
    "sweep optim.lr=0.1,1": ("did you mean: trainer train -m optim.lr=0.1,1",),
    "ls": ("did you mean: trainer runs",),
    "Train": ("did you mean: trainer train",),
    "trainer train": ("typed twice", "trainer train"),
    "model=lenet epochs=3": ("a verb comes first", "trainer train model=lenet epochs=3"),
    "--epochs 3 train": ("a verb comes first", "trainer train --epochs 3"),
    "mnist_lenet": ("trainer train experiment=mnist_lenet",),
    "houses.csv": ("trainer train data=houses.csv",),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_answered_in_two_lines_with_the_right_word(furnished: Path, command: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(shlex.split(command))
    lines = f"{caught.value.message}\n{caught.value.hint}".splitlines()
    assert len(lines) <= 2
    assert all(len(line) < 250 for line in lines), lines
    for word in MISTAKES[command]:
        assert word in "\n".join(lines), lines


# What is typed, and the overrides that it is taken for.
TAKEN: dict[str, list[str]] = {
    "train data=MNIST": ["data=mnist"],
    "train data=Fashion-MNIST": ["data=fashion_mnist"],
    "train data=FashionMNIST": ["data=fashion_mnist"],
    "train data=CIFAR-10": ["data=cifar10"],
    "train model=LeNet": ["model=lenet"],
    "train optim=SGD": ["optim=sgd"],
    "train optim=AdamW": ["optim=adamw"],
    "train -m optim=SGD,Adam": ["optim=sgd,adam"],
    "train scheduler=none": ["scheduler=constant"],
    "train scheduler=CosineAnnealingLR": ["scheduler=cosine"],
    "train loss=ce": ["loss=cross_entropy"],
    "train loss=MSELoss": ["loss=mse"],
    "train device=gpu": [f"device={'mps' if sys.platform == 'darwin' else 'cuda'}"],
    "train device=0": ["device=cuda:0"],
    "train device=CPU": ["device=cpu"],
    "train device=mps:0": ["device=mps"],
    "train precision=bf16": ["precision=bfloat16"],
    "train precision=fp32": ["precision=float32"],
    "train precision=double": ["precision=float64"],
    "train compile=false": ["compile=off"],
    "train evaluate.split=validation": ["evaluate.split=val"],
    "train data.sampler=Balanced": ["data.sampler=balanced"],
    "train early_stopping.patience=None": ["early_stopping.patience=null"],
    "train data.limit=none": ["data.limit=null"],
    "train name=None": ["name=null"],
    "train --epochs 3": ["epochs=3"],
    "train --epochs=3 --optim.lr 0.1": ["epochs=3", "optim.lr=0.1"],
    "train --data mnist --model lenet": ["data=mnist", "model=lenet"],
    "train --plots": ["plots=true"],
    "train --no-plots": ["plots=false"],
    "train --deterministic true": ["deterministic=true"],
    "train --max-steps 5": ["max_steps=5"],
    "train --seed -1": ["seed=-1"],
    "train optim.lr = 0.1 seed =3": ["optim.lr=0.1", "seed=3"],
    "train data=./photos": ["data=folder", "data.path=./photos"],
    "train data=photos": ["data=folder", "data.path=photos"],
    "train photos": ["data=folder", "data.path=photos"],
    "train data=houses.csv data.target=price": [
        *("data=table", "data.path=houses.csv", "data.target=price", "model=mlp"),
    ],
    "train houses.csv data.target=price": ["data=table", "data.path=houses.csv", "data.target=price", "model=mlp"],
    "train data=labels.csv": ["data=images", "data.path=labels.csv"],
    "train data=diabetes": ["data=diabetes", "model=mlp"],
    "train data=diabetes model=linear": ["data=diabetes", "model=linear"],
    "train data=houses.csv experiment=table": ["data=table", "data.path=houses.csv", "experiment=table"],
    "inspect data=photos": ["data=folder", "data.path=photos"],
    "inspect houses.csv": ["data=table", "data.path=houses.csv"],
    "eval net.pt data=houses.csv": ["ckpt=net.pt", "data.path=houses.csv"],
    "eval net.pt data=photos": ["ckpt=net.pt", "data=folder", "data.path=photos"],
    "eval net.pt --split test": ["ckpt=net.pt", "split=test"],
    "predict net.pt photos": ["ckpt=['net.pt']", "input=photos"],
    "predict net.pt houses.csv out=x.csv": ["ckpt=['net.pt']", "input=houses.csv", "out=x.csv"],
    "train -epochs 3": ["epochs=3"],
    "train optim.lr= 0.1": ["optim.lr=0.1"],
    "train -m optim.lr=0.1, 0.2": ["optim.lr=0.1,0.2"],
    "eval checkpoint=net.pt": ["ckpt=net.pt"],
    "eval model=net.pt data=digits": ["ckpt=net.pt", "data=digits"],
    "export net.pt format=ONNX": ["ckpt=net.pt", "format=onnx"],
    "serve net.pt --port 0": ["ckpt=net.pt", "port=0"],
}


@pytest.mark.parametrize("command", TAKEN)
def test_what_is_meant_beyond_doubt_is_taken_and_said(furnished: Path, command: str) -> None:
    verb, *words = shlex.split(command)
    given = arguments.read(verb, words)
    assert given.overrides == TAKEN[command]
    said = any(" is taken as " in note for note in given.notes)
    put_together = "".join(words)  # what only a blank has taken apart needs no word
    assert said or all(word in put_together or word in ("model=mlp", "ckpt=net.pt") for word in given.overrides)


def test_what_is_right_already_is_left_as_it_is(furnished: Path) -> None:
    for words in (
        ["epochs=3"],
        ["data=mnist"],
        ["-m", "optim.lr=0.1,1"],
        ["~experiment"],
        ["+optim.lr=1"],
        ["name=gpu"],
    ):
        given = arguments.read("train", words)
        assert (given.line, given.notes) == (words, [])
    (furnished / "configs" / "data").mkdir(parents=True)
    (furnished / "configs" / "data" / "photos.yaml").write_text("_target_: mine.Photos\n")
    assert arguments.read("train", ["data=photos"]).overrides == ["data=photos"]  # a choice goes before a folder
    assert spelling.device("my-accelerator") == "my-accelerator"


def test_the_words_of_other_programs_stand_for_what_there_is() -> None:
    keys = {key.name for verb in registry.verbs() for key in index.keys(verb)} | {*registry.GROUPS, "experiment"}
    assert {name.partition("=")[0] for name in synonyms.KEYS} <= keys
    for group, options in synonyms.CHOICES.items():
        assert set(options) <= set(composition.ours(group))
    for name, options in synonyms.VALUES.items():
        declared = {key.choices for verb in registry.verbs() for key in index.keys(verb) if key.name == name}
        assert declared == {()} or any(set(options) <= set(choices) for choices in declared)
    assert {name.partition(" ")[0] for name in synonyms.VERBS} <= set(registry.verbs())
    others = Counter(
        synonyms.plain(other) for words in synonyms.KEYS.values() for other in set(map(synonyms.plain, words))
    )
    assert {other for other, times in others.items() if times > 1} == set()


WITHOUT_TORCH = """
import sys
from trainer.cli.main import main
for line in open("commands").read().splitlines():
    code = main(line.split())
    print(code, "torch" in sys.modules)
"""
EARLY = [
    "train -m seed=0,1 data=folder data.path=nothing",
    "eval nothing.pt",
    "eval runs/nothing",
    "eval latest",
    "inspect nothing.pt",
    "export nothing.pt",
    "serve nothing.pt",
    "predict nothing.pt input=photos",
    "predict net.pt input=nothing.jpg",
    "resume runs/nothing",
    "reproduce runs/nothing",
    "train from=nothing.pt",
    "train device=foo",
    "eval net.pt device=cuda:x",
    "train data=nothing.csv",
    "train data=folder data.path=nothing",
    "train data=table data.path=nothing.csv data.target=x",
    "train lr=0.1",
    "train --config nothing.yaml",
]


def test_mistakes_are_answered_before_torch_is_imported(furnished: Path) -> None:
    (furnished / "commands").write_text("\n".join(EARLY))
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    answers = ran.stdout.splitlines()
    assert answers == ["2 False"] * len(EARLY), ran.stderr
    assert len(ran.stderr.splitlines()) <= 2 * len(EARLY)
