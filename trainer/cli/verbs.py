"""The verbs: what each is for, and its help."""

import dataclasses
import textwrap

from trainer import __version__
from trainer.config import schema


@dataclasses.dataclass(frozen=True)
class Verb:
    """A command: `trainer/commands/NAME.py` runs it, `configs/NAME.yaml` and its dataclass hold its keys."""

    summary: str
    examples: str
    needs: tuple[str, ...] = ()


VERBS = {
    "train": Verb(
        "fit a model, then test it",
        """
        trainer train model=lenet data=mnist device=cuda
        trainer train experiment=mnist_lenet seed=1
        trainer train -m optim.lr=0.01,0.1 seed=0,1      a sweep: all combinations, ranked
        trainer train -m optim.lr=0.01,0.1 sweep=auto    the same, several jobs at once
        trainer train -m search=optuna 'optim.lr=interval(0.001,0.1)'
        """,
    ),
    "resume": Verb(
        "continue an interrupted training or sweep exactly, or a finished one for longer",
        """
        trainer resume runs/lenet_digits/2026-01-31_12-00-00
        trainer resume RUN epochs=20 device=cuda
        trainer resume SWEEP sweep=parallel
        """,
        needs=("run",),
    ),
    "eval": Verb(
        "metrics of a checkpoint on the test split",
        """
        trainer eval ckpt=runs/lenet_digits/2026-01-31_12-00-00
        trainer eval ckpt=cifar_net.pth model=lenet5 data=cifar10      a bare state_dict
        """,
        needs=("ckpt",),
    ),
    "inspect": Verb(
        "layers, shapes, parameters, FLOPs, filters, and facts about the data",
        """
        trainer inspect model=resnet18 data=cifar10
        trainer inspect ckpt=RUN inspect.out=filters.png
        """,
    ),
}


def overview() -> str:
    """`trainer --help`."""
    width = max(map(len, VERBS))
    lines = "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    return textwrap.dedent(
        f"""\
        trainer VERB key=value ...      train models from composable configs

        {{verbs}}

        trainer VERB --help             the verb's choices and keys
        eval "$(trainer -sc install=bash)"   tab completion
        trainer --version               {__version__}"""
    ).replace("{verbs}", lines)


def help_of(verb: str) -> str:
    """`trainer VERB --help`."""
    from trainer.config.composition import group_choices

    cls = schema.VERBS[verb]
    fields = dataclasses.fields(cls)
    usage = f"trainer {verb} RUN" if verb == "resume" else f"trainer {verb}"
    lines = [f"{usage} [key=value ...]      {VERBS[verb].summary}", ""]
    lines += [f"  {line}" for line in textwrap.dedent(VERBS[verb].examples).strip().splitlines()]
    groups = [f.name for f in fields if f.name in schema.GROUPS]
    if verb == "train":
        groups.append("experiment")
    lines += ["", "Choices"] if groups else []
    for group in groups:
        text = f"  {group}=" + "|".join(group_choices(group))
        lines += textwrap.wrap(text, 100, subsequent_indent="    ", break_on_hyphens=False)
    lines += ["", "Keys (all of them, with the sections' own: docs/reference.md, or --cfg job)"]
    for f in fields:
        if f.name in schema.GROUPS:
            continue
        if dataclasses.is_dataclass(f.type) and isinstance(f.type, type):
            inner = ", ".join(g.name for g in dataclasses.fields(f.type))
            lines.append(f"  {f.name}.{{{inner}}}")
        else:
            default = "null" if f.default is None else str(f.default)
            name = schema.public(f.name)
            shown = f"{name}=" if default == "???" else f"{name}={default}"
            lines.append(f"  {shown:<24} {f.metadata['doc']}")
    if verb == "resume":
        keys = ", ".join(sorted(_runtime_keys(schema.Train)))
        lines += ["", "Keys of the training that may change"]
        lines += textwrap.indent(textwrap.fill(keys, 100, break_on_hyphens=False), "  ").splitlines()
    lines += ["", "Hydra's flags work too: -m (sweep), --cfg job, --info, --config-dir DIR, --hydra-help"]
    return "\n".join(lines)


def _runtime_keys(cls: type, prefix: str = "") -> set[str]:
    """The keys that may change when a training is resumed, of `cls` and its sections."""
    found: set[str] = set()
    for f in dataclasses.fields(cls):
        if f.name in schema.GROUPS:
            found.update(*(_runtime_keys(section, f"{f.name}.") for section in schema.GROUPS[f.name].values()))
        elif dataclasses.is_dataclass(f.type) and isinstance(f.type, type):
            found |= _runtime_keys(f.type, f"{prefix}{f.name}.")
        elif f.metadata.get("runtime"):
            found.add(f"{prefix}{schema.public(f.name)}")
    return found
