"""Directories that would run code, connect, start programs, or read the environment."""
# ruff: noqa: E501 -- tables

from typing import Any

from .arena import MODULE, Maker
from .making import RESUME, Case, also, changes, config, filled, holds, in_json, in_yaml, types

EVIL = {"_target_": f"{MODULE}.Thing"}
SHELL = {"_target_": "os.system", "_args_": ["touch canary"]}
GROUPS = ("model", "data", "optim", "scheduler", "sweep", "search")

YAML_TAGS = {
    "apply": "!!python/object/apply:os.system ['touch canary']",
    "new": "!!python/object/new:os.system ['touch canary']",
    "name": "!!python/name:os.system",
    "module": f"!!python/module:{MODULE}",
    "object": f"!!python/object:{MODULE}.Thing {{}}",
    "verbatim tag": "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch canary']",
    "tuple": "!!python/tuple [1, 2]",
    "binary": "!!binary aGVsbG8=",
    "set": "!!set {a, b}",
    "omap": "!!omap [a: 1]",
    "timestamp": "!!timestamp 2001-12-14t21:59:43.10-05:00",
    "custom": "!include OUTSIDE/private.csv",
}


def _in_configs() -> dict[str, Maker]:
    found: dict[str, Maker] = {"at the top": config(**EVIL), "a command at the top": config(**SHELL)}
    for group in GROUPS:
        found |= {
            f"as the {group}": in_yaml("config.yaml", {group: EVIL}),
            f"a command as the {group}": in_yaml("config.yaml", {group: SHELL}),
            f"beside the name of the {group}": in_yaml("config.yaml", {f"{group}._target_": f"{MODULE}.Thing"}),
            f"within the {group}": in_yaml("config.yaml", {f"{group}.inner": EVIL}),
            f"as the name of the {group}": in_yaml("config.yaml", {f"{group}.name": f"{MODULE}.Thing"}),
            f"as a path to the {group}": in_yaml("config.yaml", {f"{group}.name": "../../evil"}),
        }
    found |= {
        f"in the section {section}": in_yaml("config.yaml", {section: EVIL})
        for section in ("checkpoint", "evaluate", "early_stopping", "tensorboard", "data.augment")
    }
    found |= {
        "in a list": config(optim__betas=[EVIL, SHELL]),
        "in a plain key": config(name=EVIL),
        "in a number": config(epochs=SHELL),
        "deep in unknown keys": config(x__y__z=SHELL),
        "all of Hydra's words": config(model={**EVIL, "_partial_": True, "_recursive_": True, "_convert_": "all"}),
        "by interpolation": config(model={"_target_": "${name}"}, name=f"{MODULE}.Thing"),
        "assembled": config(model={"_target_": "${on_nan}.Thing"}, on_nan=MODULE),
        "a list of defaults": config(defaults=["/evil", {"model": "evil"}, {"override hydra/launcher": "evil"}]),
        "a hydra section": config(hydra={"searchpath": ["file://OUTSIDE"], "launcher": EVIL}),
        "a dotted target without a module": config(model={"_target_": "Thing"}),
        "a target with a path": config(model={"_target_": "../../evil.Thing"}),
        "a target of ours": config(model={"_target_": "trainer.cli.main.main"}),
        "a target of torch": config(model={"_target_": "torch.hub.load", "repo_or_dir": ".", "source": "local"}),
        "a target with a newline": config(model={"_target_": f"{MODULE}\n.Thing"}),
        "a target that is a list": config(model={"_target_": [f"{MODULE}.Thing"]}),
        "a name of ours in another folder": config(model__name="trainer.commands.train"),
        "a name that is a private module": config(data__name="__init__"),
        "own target in a Custom section": config(
            optim={"_target_": "torch.optim.SGD", "lr": 0.1, "name": "adam", "params": SHELL}
        ),
    }
    return found


WORDS: dict[str, tuple[str, ...]] = {
    **{f"{plus}{g} as a dictionary": (f"{plus}{g}={{_target_:{MODULE}.Thing}}",) for g in GROUPS for plus in ("", "+", "++")},
    **{f"{g}'s target": (f"{g}._target_={MODULE}.Thing",) for g in GROUPS},
    **{f"{g}'s target, forced": (f"++{g}._target_={MODULE}.Thing",) for g in GROUPS},
    **{f"{g} by a path upwards": (f"{g}=../../given/configs/{g}/evil",) for g in GROUPS},
    **{f"{g} by an absolute path": (f"{g}=HERE/given/configs/{g}/evil",) for g in GROUPS},
    "a target below a key": (f"+model.layer._target_={MODULE}.Thing",),
    "a target in a list": (f"model=[{{_target_:{MODULE}.Thing}}]",),
    "a quoted target": (f"'model._target_'={MODULE}.Thing", f"model.'_target_'={MODULE}.Thing"),
    "a sweep of targets": (f"model._target_={MODULE}.Thing,os.system",),
    "a dictionary among the swept": (f"model=linear,{{_target_:{MODULE}.Thing}}",),
    "a package": ("model@data=linear", f"model@optim={{_target_:{MODULE}.Thing}}"),
    "a global package": ("data@_global_=../given/configs/evil",),
    "a group by its path": ("model/evil=evil",),
    "a group with a slash": ("/model=evil",),
    "model by file://": ("model=file://HERE/given/configs/model/evil",),
    "model by pkg://": (f"model=pkg://{MODULE}",),
    "an experiment upwards": ("experiment=../../given/configs/evil",),
    "an added experiment upwards": ("+experiment=../../given/configs/evil",),
    "an experiment by an absolute path": ("experiment=HERE/given/configs/evil",),
    "an experiment as a dictionary": (f"experiment={{model:{{_target_:{MODULE}.Thing}}}}",),
    "a list of experiments": ("experiment=[../../given/configs/evil]",),
    "--config-dir=": ("--config-dir=HERE/given/configs", "model=evil"),
    "--config-dir and its value": ("--config-dir", "HERE/given/configs", "model=evil"),
    "-cd": ("-cd", "HERE/given/configs", "model=evil"),
    "--config-name": ("--config-name=evil",),
    "-cn": ("-cn", "evil"),
    "--config-path": ("--config-path=HERE/given/configs",),
    "-cp": ("-cp", "HERE/given/configs"),
    "--package": ("--package=os",),
    "--cfg": ("--cfg=all",),
    "--resolve": ("--resolve", "--cfg", "job"),
    "--info": ("--info",),
    "--hydra-help": ("--hydra-help",),
    "--help": ("--help",),
    "--version": ("--version",),
    "-h": ("-h",),
    "--run": ("--run",),
    "-sc": ("-sc", "install=bash"),
    "--shell-completion": ("--shell-completion", "query=bash"),
    "an unknown flag": ("--exec=touch canary",),
    "two dashes": ("--", "model._target_=os.system"),
    "one dash": ("-",),
    "hydra.searchpath": ("hydra.searchpath=[file://HERE/given/configs]", "model=evil"),
    "an added hydra.searchpath": ("+hydra.searchpath=[file://HERE/given/configs]", "model=evil"),
    "hydra/launcher": ("hydra/launcher=evil",),
    "hydra/launcher upwards": ("hydra/launcher=../../given/configs/evil",),
    "hydra.launcher": (f"hydra.launcher._target_={MODULE}.Thing",),
    "hydra.sweeper": (f"++hydra.sweeper._target_={MODULE}.Thing",),
    "hydra.callbacks": (f"+hydra.callbacks={{x:{{_target_:{MODULE}.Thing}}}}",),
    "hydra.job_logging": (f"hydra.job_logging={{version:1,handlers:{{x:{{(): {MODULE}.Thing}}}}}}",),
    "hydra/job_logging": ("hydra/job_logging=../../given/configs/evil",),
    "hydra.run.dir": ("hydra.run.dir=OUTSIDE/run",),
    "hydra.sweep.dir": ("hydra.sweep.dir=OUTSIDE/sweep",),
    "hydra.job.chdir": ("hydra.job.chdir=true", "hydra.run.dir=OUTSIDE"),
    "hydra.job.env_set": ("hydra.job.env_set={LD_PRELOAD:HERE/given/x.so}",),
    "hydra.output_subdir": ("hydra.output_subdir=OUTSIDE/x",),
    "hydra.mode": ("hydra.mode=RUN",),
    "hydra as a dictionary": (f"hydra={{launcher:{{_target_:{MODULE}.Thing}}}}",),
    "a deleted model": ("~model",),
    "deleted data": ("~data=diabetes",),
    "choice()": (f"model=choice(linear,{{_target_:{MODULE}.Thing}})",),
    "glob()": ("model=glob(*)",),
    "glob() upwards": ("experiment=glob(../../*)",),
    "extend_list()": ("optim.betas=extend_list({_target_:os.system})",),
    "str()": ("name=str(1)",),
    "json_str()": ("name=json_str({a:1})",),
    "shuffle()": ("optim.lr=shuffle(0.1,0.2)",),
    "tag()": ("optim.lr=tag(a,b,choice(0.1,0.2))",),
    "a cast": ("epochs=int('${oc.env:SECRET}')",),
    "an unknown function": ("name=__import__(os)",),
    "a dictionary with a call": ("name={a:__import__('os').system('touch canary')}",),
    "a search in place of a sweep": ("search=optuna", "search.trials=2"),
    "a search of targets": ("search=optuna", "search.trials=2", f"model._target_=choice({MODULE}.Thing,os.system)"),
    "a class name with a path": ("model.name=../../evil",),
    "the verb's own keys": ("run=OUTSIDE", "ckpt=OUTSIDE/folder/last.pt", "inspect.out=OUTSIDE/x"),
    "Hydra's + in the middle": ("model+._target_=os.system",),
    "an empty word": ("",),
    "only a sign": ("=",),
    "a word without a value": ("epochs=",),
    "a word that is a number": ("1",),
}  # fmt: skip

SLURM: dict[str, tuple[str, ...]] = {
    "sweep.setup": ("sweep=slurm", "sweep.setup=[touch canary]"),
    "sweep.options": ("sweep=slurm", 'sweep.options=["--wrap=touch canary"]'),
    "sweep.partition": ("sweep=slurm", 'sweep.partition="x; touch canary"'),
    "sweep.partition, plain": ("sweep=slurm", "sweep.partition=theirs"),
    "sweep.account": ("sweep=slurm", "sweep.account=theirs"),
    "setup as a whole section": ("sweep={name:slurm,setup:[touch canary]}",),
    "setup, forced": ("++sweep=slurm", "++sweep.setup=[touch canary]"),
    "setup, added": ("sweep=slurm", "+sweep.setup=[touch canary]"),
    "setup, one line of it": ("sweep=slurm", "sweep.setup.0=touch canary"),
    "setup on this machine": ("sweep=slurm", "sweep.cluster=local", "sweep.setup=[touch canary]"),
    "Ray's address": ("sweep=ray", "sweep.address=127.0.0.1:9"),
    "Ray's address by ray://": ("sweep=ray", "sweep.address=ray://127.0.0.1:9"),
    "Ray's address, auto": ("sweep=ray", "sweep.address=auto"),
    "Ray's address, a command": ("sweep=ray", "sweep.address=$(touch canary)"),
    "Ray's address, forced": ("++sweep.address=127.0.0.1:9", "sweep=ray"),
    "Ray as a section": ("sweep={name:ray,address:127.0.0.1:9}",),
}

# Each key of a config.yaml with a text, and some with numbers, which are shown where they are wrong.
TEXT_KEYS = (
    *("name", "output", "from", "device", "precision", "compile", "on_nan", "objective", "direction"),
    *("evaluate.split", "data.drop_last", "data.placement", "data.cache", "data.root", "data.path", "data.unknown"),
    *("model.name", "data.name", "optim.name", "scheduler.name", "sweep.name", "search.name", "model.in_features"),
    *("seed", "epochs", "max_steps", "plots", "optim.lr", "optim.betas", "optim.betas.0", "data.limit", "unknown"),
    *("tensorboard.every_steps", "model", "data", "optim", "scheduler", "sweep", "search", "checkpoint"),
)
FORMS: dict[str, Any] = {
    "within a text": "a-${oc.env:SECRET}-b",
    "decoded": "${oc.decode:${oc.env:SECRET}}",
    "decoded from text": "${oc.decode:'${oc.env:SECRET}'}",
    "selected": "${oc.select:nothing,${oc.env:SECRET}}",
    "by default": "${oc.env:NOTHING,${oc.env:SECRET}}",
    "created": "${oc.create:{a:${oc.env:SECRET}}}",
    "escaped": "\\${oc.env:SECRET}",
    "escaped twice": "\\\\${oc.env:SECRET}",
    "with spaces": "${ oc.env : SECRET }",
    "quoted": "${oc.env:'SECRET'}",
    "of hydra": "${hydra:runtime.cwd}",
    "of an unknown resolver": "${exec:touch canary}",
    "of itself": "${name}",
    "not closed": "${oc.env:SECRET",
    "deep": "${" * 500 + "name" + "}" * 500,
    "in a dictionary": {"${oc.env:SECRET}": "${oc.env:SECRET}"},
    "in a list": ["${oc.env:SECRET}"],
    "with a newline": "${oc.env:SECRET}\n${oc.env:SECRET}",
    "with Hydra's time": "${now:%Y}",
    "deprecated": "${oc.deprecated:seed,${oc.env:SECRET}}",
    "relative": "${.seed}${..seed}${oc.env:SECRET}",
    "of the home": "${oc.env:HOME}/${oc.env:SECRET}",
}


def _environment() -> dict[str, Case]:
    secret = "${oc.env:SECRET}"
    found = {f"config.yaml, {key}": Case("run", in_yaml("config.yaml", {key: secret}), RESUME) for key in TEXT_KEYS}
    found |= {f"config.yaml, name, {how}": Case("run", config(name=form), RESUME) for how, form in FORMS.items()}
    found |= {
        f"config.yaml, data.root, {how}": Case("run", config(data__root=form), RESUME) for how, form in FORMS.items()
    }
    found |= {
        "config.yaml, a chain": Case("run", config(name="${output}", output="${objective}", objective=secret)),
        "config.yaml, a key": Case("run", in_yaml("config.yaml", {secret: 1})),
        "config.yaml, everything": Case("run", in_yaml("config.yaml", dict.fromkeys(TEXT_KEYS[:12], secret))),
        "config.yaml of a job": Case("sweep", in_yaml("0/config.yaml", {"name": secret}), (("resume", "IT/0"),)),
        "config.yaml of a job that is resumed": Case("sweep", in_yaml("1/config.yaml", {"name": secret})),
        "overrides.yaml of a run": Case("run", types(f"name={secret}")),
        "overrides.yaml of a run without checkpoints": Case(
            "run", also(types(f"name={secret}"), lambda place: place.remove("checkpoints"))
        ),
    }
    words = {
        **{key: f"{key}={secret}" for key in TEXT_KEYS if "." not in key or key.startswith("optim")},
        "quoted": f"name='{secret}'",
        "in double quotes": f'name="{secret}"',
        "swept": f"optim.lr={secret},0.1",
        "in a list": f"optim.betas=[{secret},0.9]",
        "as a key": f"{secret}=1",
        "in an unknown key": f"+x={secret}",
        "in a new section": f"++a.b.c={secret}",
        "as an experiment": f"experiment={secret}",
        "escaped": f"name=\\{secret}",
        "decoded": "name=${oc.decode:${oc.env:SECRET}}",
        "of hydra": "name=${hydra:runtime.cwd}${oc.env:SECRET}",
        "of a key that has it": "name=${.output}",
        "in a class of data": f"data.path={secret}",
        "in the sweep's keys": f"sweep.jobs={secret}",
        "in the search's": f"search.trials={secret}",
        "after a hash": f"name=a#{secret}",
    }
    for base in ("sweep", "search"):
        found |= {f"overrides.yaml of a {base}, {how}": Case(base, types(word), RESUME) for how, word in words.items()}
    found |= {
        "result.json": Case("finished run", in_json("result.json", {"name": secret, "stopped": secret})),
        "result.json, a metric": Case("finished sweep", in_json("0/result.json", {f"metrics.{secret}": 1.0})),
        "sweep.jsonl": Case("sweep", in_json("sweep.jsonl", {"overrides.name": secret, "error": secret}, 0)),
        "plan.json": Case("sweep", in_json("plan.json", {"0": secret})),
    }
    return found


def _evil_configs() -> Maker:
    """A folder of configs in the stranger's directory, for those words that lead there."""

    def make(place: Any) -> None:
        top = place / "configs"
        for group in GROUPS:
            (top / group).mkdir(parents=True)
            (top / group / "evil.yaml").write_text(filled(f"_target_: {MODULE}.Thing\n", place))
        (top / "evil.yaml").write_text(f"# @package _global_\nmodel:\n  _target_: {MODULE}.Thing\n")

    return make


def _modules(*names: str) -> Maker:
    """Files in the directory that are called as modules."""
    return also(*(holds(name, "open('canary', 'w').close()\n") for name in names))


def _as_the_model(text: str) -> Maker:
    return changes("config.yaml", lambda before: before.replace(b"name: linear", f"name: {text}".encode()))


CASES: dict[str, Case] = {
    **{f"code: config.yaml, {where}": Case("run", make, RESUME) for where, make in _in_configs().items()},
    **{f"code: config.yaml, YAML's {tag}": Case("run", holds("config.yaml", f"name: {text}\n"), RESUME) for tag, text in YAML_TAGS.items()},
    **{f"code: config.yaml's model, YAML's {tag}": Case("run", _as_the_model(text), RESUME) for tag, text in YAML_TAGS.items()},
    **{f"code: overrides.yaml, YAML's {tag}": Case("sweep", holds("overrides.yaml", f"- -m\n- {text}\n"), RESUME) for tag, text in YAML_TAGS.items()},
    **{f"code: a run's overrides.yaml, YAML's {tag}": Case("finished run", holds("overrides.yaml", f"- {text}\n"), RESUME) for tag, text in YAML_TAGS.items()},
    **{f"code: a sweep's words, {how}": Case("sweep", also(_evil_configs(), types(*words)), RESUME) for how, words in WORDS.items()},
    **{f"code: a search's words, {how}": Case("search", also(_evil_configs(), types(*words)), RESUME) for how, words in WORDS.items()},
    **{f"shell: {how}": Case("sweep", types(*words)) for how, words in SLURM.items()},
    **{f"environment: {where}": case for where, case in _environment().items()},
    "code: modules beside the run": Case("run", _modules("torch.py", "yaml.py", "signal.py", "sitecustomize.py", "usercustomize.py", "conftest.py", "x.pth")),
    "code: modules beside the sweep": Case("sweep", _modules("torch.py", "optuna.py", "signal.py", "pickle.py", "sitecustomize.py")),
    "code: modules beside the search": Case("search", _modules("torch.py", "optuna.py", "signal.py", "pickle.py", "sitecustomize.py")),
    "code: configs beside the run": Case("run", _evil_configs()),
}  # fmt: skip
