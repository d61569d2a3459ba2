"""Help texts, completions, and mistakes of the user's: what is compared is the exit code and the screen."""

from .commands import Case, Command, case, exits


def _completed(line: str) -> Command:
    return Command("-sc query=bash", environment=(("COMP_LINE", line), ("COMP_POINT", str(len(line)))))


def _mistakes(name: str, *typed: str) -> Case:
    return case(name, *(exits(2, each) for each in typed))


HELP = (
    case(
        "help",
        *("", "--help", "help", "--version", "train --version"),
        *("train --help", "resume --help", "eval --help", "inspect -h"),
    ),
    case(
        "completion",
        _completed("trainer train model="),
        _completed("trainer train optim.m"),
        _completed("trainer ev"),
    ),
)

MISTAKES = (
    _mistakes(
        "of the command line",
        "trian model=lenet",
        "model=lenet",
        "--fast",
        "train --fast",
        "train model",
        "train optim.lr=",
        "train 'model=[lenet'",
        "train ~model",
        "eval",
        "resume",
        "resume -m nowhere",
        "train --cfg nothing",
    ),
    _mistakes(
        "of keys and values",
        "train optim.lrr=0.1",
        "train +unknown=1",
        "train epochs=many",
        "train epochs=0",
        "train optim.lr=-1",
        "train optim.betas=[0.9]",
        "train model=lenett",
        "train data=digitz",
        "train experiment=nothing",
        "train model.hidden=3",
        "train data=csv data.target=kind",
        "train precision=float16",
        "train seed=1.5",
        "train data.augment=true",
        "train early_stopping.patience=no",
        "train optim.lr=0.1,0.2",
    ),
    _mistakes(
        "of what goes together",
        "train model=lenet data=diabetes",
        "train device=cuda:99 data.limit=50",
        "train device=gpu",
        "train objective=val/speed data.limit=50 epochs=1",
        "train data=diabetes label_smoothing=0.1",
        "train search=optuna 'optim.lr=interval(0.1,0.2)'",
        "train 'optim.lr=interval(0.1,0.2)'",
        "train -m 'optim.lr=interval(0.1,0.2)'",
        "train -m search=optuna optim.lr=0.1",
        "train -m sweep=batched sweep.jobs=0 optim.lr=0.1,0.2",
        "train -m optim.lrr=0.1,0.2",
        "train data.workers=-1",
    ),
    _mistakes(
        "of files",
        "train data=csv data.path={inputs}/broken.csv data.target=label",
        "train data=csv data.path={inputs}/empty.csv data.target=label",
        "train data=csv data.path={inputs}/flowers.csv data.target=price",
        "train data=csv data.path=nowhere.csv data.target=label",
        "train data=folder data.path=nowhere",
        "train data=folder data.path={inputs}/images/train/dark",
        "train data=mnist data.download=false data.root=nowhere",
        "train from=nowhere",
        "eval ckpt=nowhere",
        "eval ckpt={inputs}/broken.pt",
        "eval ckpt={inputs}/text.pt",
        "resume nowhere",
        "inspect ckpt=nowhere.pt",
        "train --config-dir nowhere",
    ),
)
