"""The kinds of files that are fuzzed: where one is, how it is parsed and put together again, and who reads it."""
# ruff: noqa: E501, RUF001 -- tables

import csv
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import bases, links
from .arena import Maker, Place
from .making import Case, filled
from .mutations import NASTY, mangled, mutated


@dataclass(frozen=True)
class Format:
    """Texts of one format as trees."""

    parse: Callable[[str], Any]
    put: Callable[[Any], str]


def _yaml(tree: Any) -> str:
    class Plain(yaml.SafeDumper):
        """Writes what is there twice twice, without an alias; else half of all files would be refused for one."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return str(yaml.dump(tree, Dumper=Plain, sort_keys=False))


def _lines(tree: Any) -> str:
    if not isinstance(tree, list):
        return json.dumps(tree, default=str)
    return "".join(f"{json.dumps(line, default=str)}\n" for line in tree)


def _rows(tree: Any) -> str:
    out = io.StringIO()
    rows = tree if isinstance(tree, list) else [tree]
    csv.writer(out, escapechar="\\").writerows(row if isinstance(row, list) else [row] for row in rows)
    return out.getvalue()


YAML = Format(yaml.safe_load, _yaml)
JSON = Format(json.loads, lambda tree: json.dumps(tree, default=str))
LINES = Format(lambda text: [json.loads(line) for line in text.splitlines()], _lines)
CSV = Format(lambda text: [list(row) for row in csv.reader(io.StringIO(text))], _rows)
TEXT = Format(
    lambda text: text.splitlines(), lambda tree: "\n".join(map(str, tree)) if isinstance(tree, list) else str(tree)
)

RESUME, DRY = ("resume", "IT"), ("resume", "IT", "sweep.dry_run=true")


@dataclass(frozen=True)
class Kind:
    """A kind of file; one of the `reads` (a base, the file's name in it, a command) is chosen for each case."""

    format: Format | None
    reads: tuple[tuple[str, str, tuple[str, ...]], ...]
    makes: Callable[[str, random.Random], Maker] | None = field(default=None)

    def case(self, number: int, seed: str) -> Case:
        """The case of this number: the same each time."""
        base, name, words = random.Random(f"{seed} {number}").choice(self.reads)
        return Case(base, lambda place: self._maker(name, random.Random(f"{number} {seed}"))(place), (words,))

    def _maker(self, name: str, rng: random.Random) -> Maker:
        draw = rng.random()
        if self.makes is not None and draw < 0.7:
            return self.makes(name, rng)
        if draw < 0.97:
            return _changed(name, self.format, rng)
        return rng.choice(list(links.in_place(name).values()))


def _changed(name: str, form: Format | None, rng: random.Random) -> Maker:
    """The file with its tree changed, or its bytes."""
    structured = form is not None and rng.random() < 0.8

    def make(place: Place) -> None:
        content = (place / name).read_bytes()
        if structured and form is not None:
            tree = filled(mutated(form.parse(content.decode()), rng), place)
            try:
                content = form.put(tree).encode("utf-8", "surrogatepass")
            except (ValueError, TypeError, RecursionError, yaml.YAMLError, csv.Error):
                content = repr(tree).encode("utf-8", "surrogatepass")
        else:
            content = mangled(content, rng)
        place.write(name, content)

    return make


# --- words --------------------------------------------------------------------------------------------

# Not `from` and `data.path`, which name what is read as data, wherever it lies.
WORD_KEYS = (
    *("model", "data", "optim", "scheduler", "sweep", "search", "experiment", "name", "output", "seed", "device"),
    *("precision", "compile", "epochs", "max_steps", "accumulate", "clip_norm", "on_nan", "loss", "label_smoothing"),
    *("objective", "direction", "plots", "checkpoint.every_steps", "evaluate.split", "early_stopping.patience"),
    *("tensorboard.enabled", "tensorboard.graph", "model.name", "model.hidden", "model._target_", "model.in_features"),
    *("data.name", "data.root", "data.cache", "data.batch_size", "data.workers", "data.limit", "data._target_"),
    *("optim.lr", "optim.betas", "optim._target_", "scheduler.name", "sweep.name", "sweep.jobs", "sweep.dry_run"),
    *("sweep.setup", "sweep.options", "sweep.address", "sweep.partition", "search.trials", "search.sampler", "search.seed"),
    *("search.pruner", "search.at_once", "hydra.run.dir", "hydra.searchpath", "hydra/launcher", "run", "ckpt", "x", ""),
)  # fmt: skip


def _words(name: str, rng: random.Random) -> Maker:
    """Words of known keys with any values, in any of Hydra's spellings, among those that were typed."""
    added = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = str(rng.choice(NASTY))[:3000]
        value = rng.choice(
            (value, value, f"'{value}'", f'"{value}"', f"[{value}]", f"{{a:{value}}}", f"{value},{value}x")
        )
        added.append(f"{rng.choice(('', '', '', '+', '++', '~'))}{rng.choice(WORD_KEYS)}={value}")
    keeps = rng.random() < 0.9

    def make(place: Place) -> None:
        words = yaml.safe_load((place / name).read_text())
        kept = [word for word in words if keeps or word != "-m"]
        for word in filled(added, place):
            kept.insert(rng.randrange(len(kept) + 1), word)
        place.write(name, _yaml(kept).encode("utf-8", "surrogatepass"))

    return make


# --- names and folders --------------------------------------------------------------------------------


def _event_names(_: str, rng: random.Random) -> Maker:
    stamps = [str(rng.choice(NASTY))[:180].replace("/", "∕").replace("\0", "0") for _ in range(rng.choice((1, 2, 5)))]
    form = rng.choice(
        ("events.out.tfevents.{}.h.1", "events.out.tfevents.{}", "events.out.tfevents{}", "{}.out.tfevents")
    )
    renames = rng.random() < 0.5

    def make(place: Place) -> None:
        for stamp in stamps:
            path = place / form.format(stamp)
            try:
                if renames:
                    next(iter(place.it.glob("events.*"))).rename(path)
                else:
                    path.write_bytes(rng.randbytes(10))
            except (OSError, StopIteration, ValueError):  # the file system has no such names
                continue

    return make


def _tree(base_of: Callable[[], dict[str, bases.Tree]]) -> Callable[[str, random.Random], Maker]:
    """Files and folders removed, renamed, exchanged, brought from elsewhere, replaced by links and others."""

    def makes(_: str, rng: random.Random) -> Maker:
        def make(place: Place) -> None:
            for _ in range(rng.choice((1, 1, 2, 3, 5))):
                paths = [path for path in sorted(place.it.rglob("*")) if path.name]
                if not paths:
                    return
                path = rng.choice(paths)
                name = str(path.relative_to(place.it))
                try:
                    _restructured(place, name, paths, base_of(), rng)
                except (OSError, ValueError):  # a name that cannot be, or a place that is gone
                    continue

        return make

    return makes


def _restructured(place: Place, name: str, paths: list[Any], made: dict[str, bases.Tree], rng: random.Random) -> None:
    path = place / name
    match rng.randrange(8):
        case 0:
            place.remove(name)
        case 1:
            path.rename(path.with_name(str(rng.choice(NASTY))[:200]))
        case 2:
            other = rng.choice(paths)
            spare = path.with_name("spare")
            path.rename(spare)
            other.rename(path)
            spare.rename(other)
        case 3:
            tree = made[rng.choice(sorted(made))]
            path.write_bytes(tree.files[rng.choice(sorted(tree.files))])
        case 4:
            rng.choice(list(links.in_place(name).values()))(place)
        case 5:
            parent = path if path.is_dir() else path.parent
            (parent / rng.choice(sorted({p.name for p in paths}))).write_bytes(rng.randbytes(20))
        case 6:
            if not path.is_symlink():  # an earlier change may have made it one, to a device without end
                path.write_bytes(mangled(path.read_bytes(), rng))
        case _:
            other = rng.choice(paths)
            path.rename(other / path.name if other.is_dir() else other)


def kinds(made: dict[str, bases.Tree]) -> dict[str, Kind]:
    """All kinds by their names, for these honest directories."""
    events = made["run"].events
    jobs = ("0/result.json", "1/result.json")
    return {
        "config.yaml": Kind(YAML, (*[("finished run", "config.yaml", RESUME)] * 4, ("run", "config.yaml", RESUME))),
        "config.yaml of a job": Kind(YAML, (("sweep", "0/config.yaml", RESUME), ("sweep", "1/config.yaml", RESUME), ("sweep", "1/config.yaml", ("resume", "IT/1")))),
        "overrides.yaml of a run": Kind(YAML, (("finished run", "overrides.yaml", RESUME), ("run", "overrides.yaml", RESUME)), _words),
        "overrides.yaml of a sweep": Kind(YAML, (*[("sweep", "overrides.yaml", DRY)] * 2, ("sweep", "overrides.yaml", RESUME)), _words),
        "overrides.yaml of a search": Kind(YAML, (*[("search", "overrides.yaml", DRY)] * 2, ("search", "overrides.yaml", RESUME)), _words),
        "plan.json": Kind(JSON, (*[("sweep", "plan.json", DRY)] * 2, ("sweep", "plan.json", RESUME), ("finished sweep", "plan.json", RESUME), ("search", "plan.json", RESUME))),
        "sweep.jsonl": Kind(LINES, (*[("finished sweep", "sweep.jsonl", RESUME)] * 2, ("sweep", "sweep.jsonl", RESUME), ("search", "sweep.jsonl", RESUME))),
        "result.json of a run": Kind(JSON, (*[("finished run", "result.json", RESUME)] * 3, ("run", "result.json", RESUME))),
        "result.json of a job": Kind(JSON, (*(("finished sweep", name, words) for name in jobs for words in (RESUME, DRY)), ("search", "0/result.json", RESUME))),
        "metrics.jsonl": Kind(LINES, (("run", "metrics.jsonl", RESUME), ("run", "metrics.jsonl", (*RESUME, "plots=true")), ("sweep", "1/metrics.jsonl", RESUME))),
        "study.journal": Kind(LINES, (("search", "study.journal", DRY), ("search", "study.journal", RESUME), ("finished search", "study.journal", RESUME))),
        "an event file": Kind(None, (("run", events, RESUME),)),
        "an event file's name": Kind(None, (("run", events, RESUME),), _event_names),
        "train.log": Kind(TEXT, (("run", "train.log", RESUME), ("finished run", "train.log", RESUME))),
        "results.csv": Kind(CSV, (("finished sweep", "results.csv", RESUME), ("sweep", "results.csv", RESUME))),
        "a run's files": Kind(None, (*(("run", "config.yaml", words) for words in (RESUME, ("eval", "ckpt=IT"), ("inspect", "ckpt=IT"), ("train", "from=IT", "epochs=1", "plots=false"))),), _tree(lambda: made)),
        "a sweep's files": Kind(None, (("sweep", "plan.json", RESUME), ("sweep", "plan.json", DRY), ("finished sweep", "plan.json", RESUME)), _tree(lambda: made)),
        "a search's files": Kind(None, (("search", "plan.json", RESUME), ("finished search", "plan.json", RESUME)), _tree(lambda: made)),
    }  # fmt: skip
