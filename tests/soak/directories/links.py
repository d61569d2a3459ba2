"""Links, pipes, devices and folders in place of files, and paths that lead elsewhere."""
# ruff: noqa: E501, RUF001 -- tables

import json

from .arena import Maker, Place
from .making import (
    RESUME,
    RUN,
    SWEEP,
    Case,
    also,
    config,
    fifo,
    folder,
    hard_link,
    holds,
    in_json,
    in_yaml,
    lacks,
    link,
    types,
    unix_socket,
)

RUN_FILES = (
    *(
        "config.yaml",
        "overrides.yaml",
        "origin.json",
        "result.json",
        "metrics.jsonl",
        "train.log",
        "checkpoints",
        "plots",
    ),
    *("checkpoints/last.pt", "checkpoints/best.pt", "checkpoints/previous.pt", "checkpoints/damaged.pt"),
    *(
        ".config.yaml.part",
        ".origin.json.part",
        ".result.json.part",
        ".overrides.yaml.part",
        "checkpoints/.last.pt.part",
    ),
    *("checkpoints/.previous.pt.part", "checkpoints/.best.pt.part", "events.out.tfevents.1.theirs"),
)
SWEEP_FILES = (
    *("overrides.yaml", "plan.json", "sweep.jsonl", "results.csv", "plots", ".plan.json.part", ".results.csv.part"),
    *("0", "1", "2", "0/result.json", "1/config.yaml", "1/checkpoints", "1/checkpoints/last.pt", "1/train.log"),
    *("1/metrics.jsonl", "2/config.yaml", "2/.config.yaml.part", "slurm", "slurm/0"),
)
SEARCH_FILES = ("study.journal", "study.journal.lock", "overrides.yaml", "plan.json", "1", "1/checkpoints", "2")


def in_place(name: str) -> dict[str, Maker]:
    """What can be in place of one file or folder."""
    return {
        "a link to a file elsewhere": _made(name, link(name, "OUTSIDE/bashrc")),
        "a link to a private file": _made(name, link(name, "OUTSIDE/private.csv")),
        "a link to a folder elsewhere": _made(name, link(name, "OUTSIDE/folder")),
        "a link to an empty folder": _made(name, link(name, "OUTSIDE/empty")),
        "a link to what is not there": _made(name, link(name, "OUTSIDE/new")),
        "a relative link elsewhere": _made(name, link(name, "../" * (1 + name.count("/")) + "../outside/bashrc")),
        "a link to itself": _made(name, link(name, name.split("/")[-1])),
        "a link to /dev/zero": _made(name, link(name, "/dev/zero")),
        "a link to /dev/full": _made(name, link(name, "/dev/full")),
        "a link to /proc": _made(name, link(name, "/proc/self/environ")),
        "a link to a descriptor": _made(name, link(name, "/proc/self/fd/0")),
        "a pipe": _made(name, fifo(name)),
        "a socket": _made(name, unix_socket(name)),
        "a folder": _made(name, folder(name)),
        "an empty file": _made(name, also(lacks(name), holds(name, ""))),
        "another name of a file elsewhere": _made(name, hard_link(name, "OUTSIDE/bashrc")),
    }


def _made(name: str, maker: Maker) -> Maker:
    """The same, where the folder that it is in may be missing."""

    def make(place: Place) -> None:
        (place / name).parent.mkdir(exist_ok=True)
        maker(place)

    return make


def _linked_folder(name: str) -> Maker:
    """A folder that is a link to a copy of itself elsewhere, with all that belongs into it."""

    def make(place: Place) -> None:
        (place / name).rename(place.outside / "moved")
        (place / name).symlink_to(place.outside / "moved")

    return make


PATHS = {
    "absolute": "OUTSIDE/new",
    "absolute, an existing folder": "OUTSIDE/folder",
    "upwards": "../../outside/new",
    "upwards from runs": "../../../outside/new",
    "through a folder that is not there": "x/../../../outside/new",
    "of the home": "~/new",
    "of another's home": "~nobody/new",
    "with a NUL": "OUTSIDE/x\0y",
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "long": "OUTSIDE/" + "x" * 300,
    "very long": "OUTSIDE/" + "x/" * 5000,
    "with a newline": "OUTSIDE/a\nb",
    "with a percent": "OUTSIDE/%s%n%(x)s{0}",
    "a URL": "http://127.0.0.1:9/x",
    "a file URL": "file://OUTSIDE/new",
    "a UNC path": "//127.0.0.1/share",
    "for the shell": "OUTSIDE/$(touch canary)",
    "with backslashes": "..\\..\\outside\\new",
}
OF_PATHS = ("output", "name", "from", "data.root", "data.cache")
SETS = {
    "mnist": {"data": {"name": "mnist", "root": "PATH"}},
    "cifar10": {"data": {"name": "cifar10", "root": "PATH"}},
    "fashion_mnist": {"data": {"name": "fashion_mnist", "root": "PATH", "download": True}},
    "folder": {"data": {"name": "folder", "root": "PATH"}},
    "csv": {"data": {"name": "csv", "path": "PATH", "target": "x"}},
    "digits with a cache": {"data": {"name": "digits", "cache": "PATH"}},
}


def _paths() -> dict[str, Case]:
    found = {}
    for how, path in PATHS.items():
        for key in OF_PATHS:
            found[f"config.yaml, {key}, {how}"] = Case("run", in_yaml("config.yaml", {key: path}), RESUME)
            # What `from` names is read wherever it lies, as a checkpoint that may be anybody's.
            if "\0" not in path and path and (key, how) != ("from", "absolute, an existing folder"):
                found[f"a sweep's words, {key}, {how}"] = Case("sweep", types(f"{key}={path}"), RESUME)
    for name, sections in SETS.items():
        data = {k: v.replace("PATH", "OUTSIDE/data") if isinstance(v, str) else v for k, v in sections["data"].items()}
        words = [f"data.{key}={value}" for key, value in data.items() if key != "name"]
        found[f"config.yaml, data={name} elsewhere"] = Case("run", config(data=data))
        found[f"a sweep's words, data={name} elsewhere"] = Case(
            "sweep", types(f"data={data['name']}", *words, instead=("data",))
        )
    numbers = (
        "-1",
        "../x",
        "01",
        "1_0",
        " 1",
        "1 ",
        "١",
        "1e3",
        "9" * 30,
        "9" * 5000,
        "",
        "0x1",
        "/etc",
        "1.0",
        "True",
    )
    for number in numbers:
        found[f"plan.json, job {number[:40]!r}"] = Case(
            "sweep", in_json("plan.json", {number.replace(".", "·"): "x"}), RESUME
        )
        found[f"plan.json, only job {number[:40]!r}"] = Case(
            "sweep", holds("plan.json", json.dumps({number: "x"})), RESUME
        )
    for job in (-1, -(10**30), 10**30, 1.5, "0", "../x", None, True, [], {}):
        found[f"sweep.jsonl, job {job!r}"] = Case("sweep", in_json("sweep.jsonl", {"job": job}, 0), RESUME)
    return found


# What the user types changes what is written: pictures, and each job's files by another way to run them.
DRAWN = (("resume", "IT", "plots=true"),)
BATCHED = (("resume", "IT", "sweep=batched"),)
PARALLEL = (("resume", "IT", "sweep=parallel"),)
SLURM = (("resume", "IT", "sweep=slurm", "sweep.cluster=local"),)
OF_A_JOB = ("1", "1/train.log", "1/metrics.jsonl", "1/checkpoints", "2", "2/config.yaml")

CASES: dict[str, Case] = {
    **{f"links: a drawn run's plots are {what}": Case("run", make, DRAWN) for what, make in in_place("plots").items()},
    **{f"links: a drawn run's picture is {what}": Case("run", make, DRAWN) for what, make in in_place("plots/curves.png").items()},
    **{f"links: a drawn sweep's plots are {what}": Case("sweep", make, DRAWN) for what, make in in_place("plots").items()},
    **{f"links: a batched sweep's {name} is {what}": Case("sweep", make, BATCHED) for name in OF_A_JOB for what, make in in_place(name).items()},
    **{f"links: a queued sweep's slurm is {what}": Case("sweep", make, SLURM) for what, make in in_place("slurm").items() if what != "a folder"},
    **{f"links: a run's {name} is {what}": Case("run", make, RUN if name.startswith("check") else RESUME) for name in RUN_FILES for what, make in in_place(name).items()},
    **{f"links: a finished run's {name} is {what}": Case("finished run", make, RESUME) for name in RUN_FILES[:5] for what, make in in_place(name).items()},
    **{f"links: a sweep's {name} is {what}": Case("sweep", make, RESUME if "/" in name else SWEEP) for name in SWEEP_FILES for what, make in in_place(name).items()},
    **{f"links: a search's {name} is {what}": Case("search", make, RESUME) for name in SEARCH_FILES for what, make in in_place(name).items()},
    **{f"links: a finished sweep's {name} is {what}": Case("finished sweep", make) for name in ("0", "results.csv", "plots", "0/result.json") for what, make in in_place(name).items()},
    "links: a run's checkpoints lie elsewhere": Case("run", _linked_folder("checkpoints")),
    "links: a run's plots lie elsewhere": Case("run", also(folder("plots"), _linked_folder("plots"))),
    "links: a job lies elsewhere": Case("sweep", _linked_folder("1")),
    "links: a finished job lies elsewhere": Case("sweep", _linked_folder("0")),
    "links: a trial lies elsewhere": Case("search", _linked_folder("1")),
    **{f"paths: {where}": case for where, case in _paths().items()},
}  # fmt: skip
