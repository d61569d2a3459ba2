"""Files that are too large, too deep, wrongly encoded, cut off, of other shapes than ours, or other runs' own."""
# ruff: noqa: E501 -- tables

import json
from collections.abc import Callable
from typing import Any

from .arena import Maker, Place
from .making import RESUME, Case, also, changes, fifo, holds, in_json, in_yaml, lacks, sparse, types

# Every text that is read back, with the base it is in.
TEXTS = {
    "config.yaml": "run",
    "overrides.yaml": "run",
    "metrics.jsonl": "run",
    "train.log": "run",
    "result.json": "finished run",
    "sweep's overrides.yaml": "sweep",
    "plan.json": "sweep",
    "sweep.jsonl": "sweep",
    "0/result.json": "sweep",
    "1/result.json": "finished sweep",
    "1/metrics.jsonl": "sweep",
    "results.csv": "sweep",
    "study.journal": "search",
    "search's sweep.jsonl": "search",
    "search's plan.json": "search",
}
BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'lol'] * 9)}]\n" for i in range(10))
MERGED = "a: &a {x: 1}\n" + "".join(f"b{i}: {{<<: *a, y{i}: *a}}\n" for i in range(50))

CONTENTS: dict[str, str | bytes | Callable[[], str | bytes]] = {
    "nothing": b"",
    "a newline": b"\n",
    "a NUL": b"\0",
    "a million NULs": bytes(10**6),
    "a BOM": b"\xef\xbb\xbf",
    "invalid UTF-8": b"\xff\xfe\xfa",
    "half a letter": "ä".encode()[:1],
    "a lone surrogate": b"\xed\xa0\x80",
    "an escaped surrogate": b'{"name": "\\ud800"}\n',
    "UTF-16": '{"name": "x"}\n'.encode("utf-16"),
    "UTF-32": '{"name": "x"}\n'.encode("utf-32"),
    "UTF-7": b"+ADw-script+AD4-",
    "Latin-1": "name: grün\n".encode("latin-1"),
    "a carriage return": b"\r",
    "line separators": "a: 1\u2028b: 2\u0085c: 3\n",
    "escape codes": b"\x1b[2J\x1b]0;title\x07\n",
    "null": b"null\n",
    "true": b"true\n",
    "a number": b"1\n",
    "a text": b'"text"\n',
    "an empty list": b"[]\n",
    "an empty dictionary": b"{}\n",
    "a list of lists": b"[[[]], [{}]]\n",
    "a list of nulls": b"[null, null]\n",
    "NaN": b"NaN\n",
    "Infinity": b"-Infinity\n",
    "a huge number": b"1e999999\n",
    "a huge integer": b"1" * 100_000,
    "a huge integer in a dictionary": b'{"0": ' + b"7" * 100_000 + b"}\n",
    "a huge exponent": b'{"seconds": 1e400, "job": 1e400}\n',
    "deep lists": b"[" * 100_000,
    "deep lists, closed": b"[" * 5000 + b"]" * 5000,
    "deep lists of a few levels": b"[" * 60 + b"]" * 60,
    "deep dictionaries": b'{"a":' * 50_000,
    "deep dictionaries, closed": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "deep blocks": "".join(" " * i + "a:\n" for i in range(1500)),
    "deep dashes": b"- " * 20_000,
    "deep questions": b"? " * 20_000,
    "open braces": b"{" * 100_000,
    "open quotes": b'"' + b"x" * 10**6,
    "a thousand aliases": BOMB,
    "merged aliases": MERGED,
    "an anchor of itself": "a: &a [*a]\n",
    "merge keys": "<<: {name: x}\n<<: {name: y}\n",
    "an alias of nothing": "a: *b\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "a directive": "%YAML 9.9\n---\na: 1\n",
    "a tab": "a:\n\tb: 1\n",
    "a key twice": '{"name": 1, "name": 2}\n',
    "keys of other types": "1: a\nnull: b\ntrue: c\n1.5: d\n[1, 2]: e\n",
    "a long text": lambda: '{"name": "' + "x" * 100_000 + '"}\n',
    "a long key": lambda: json.dumps({"x" * 100_000: 1}) + "\n",
    "a long line": lambda: "x" * 20_000_000,
    "a million lines": lambda: "{}\n" * 1_000_000,
    "a million empty lines": lambda: "\n" * 1_000_000,
    "a million entries": lambda: json.dumps({str(i): "x" for i in range(1_000_000)}) + "\n",
    "a million words": lambda: "- 'epochs=2'\n" * 1_000_000,
    "a million keys in YAML": lambda: "".join(f"k{i}: 1\n" for i in range(300_000)),
    "a list of a million": lambda: "[" + "1," * 1_000_000 + "1]\n",
    "a program": b"#!/bin/sh\ntouch canary\n",
    "HTML": b"<script>alert(1)</script>\n",
    "a pickle": b"\x80\x04cos\nsystem\n(S'touch canary'\ntR.",
    "a gzip": b"\x1f\x8b\x08\x00" + bytes(40),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
}


def _file(text: str) -> str:
    return text.rpartition("'s ")[2]


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


CHANGED: dict[str, Callable[[bytes], bytes]] = {
    **{f"cut at {share}": _cut(share) for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)},
    "without its last byte": lambda content: content[:-1],
    "twice": lambda content: content * 2,
    "ten times": lambda content: content * 10,
    "backwards": lambda content: content[::-1],
    "with lines backwards": lambda content: b"\n".join(content.splitlines()[::-1]),
    "with CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "with CR": lambda content: content.replace(b"\n", b"\r"),
    "with a BOM": lambda content: b"\xef\xbb\xbf" + content,
    "in UTF-16": lambda content: content.decode().encode("utf-16"),
    "with a NUL at its end": lambda content: content + b"\0",
    "with a NUL in the middle": lambda content: content[: len(content) // 2] + b"\0" + content[len(content) // 2 :],
    "with a million NULs": lambda content: content + bytes(10**6),
    "with surrogates": lambda content: content + b"\xed\xa0\x80\n",
    "with a broken last line": lambda content: content + b'{"job": 1, "overr',
    "with a broken first line": lambda content: b'{"job": 1, "overr\n' + content,
    "with a broken line in the middle": lambda content: b"\n".join([*content.splitlines()[:1], b"{", *content.splitlines()[1:]]),
    "with every number huge": lambda content: content.replace(b"1", b"1" * 400),
    "with every number negative": lambda content: content.replace(b": ", b": -"),
    "with every number a NaN": lambda content: content.replace(b"0", b"NaN"),
    "with every text null": lambda content: content.replace(b'"', b"null"),
    "in capitals": lambda content: content.upper(),
}  # fmt: skip

KINDS: dict[str, Any] = {
    "null": None, "true": True, "zero": 0, "minus one": -1, "a fraction": 0.5, "a NaN": float("nan"),
    "an infinity": float("inf"), "a huge integer": 10**400, "a text": "x", "no text": "", "a list": [1],
    "no list": [], "a dictionary": {"x": 1}, "no dictionary": {}, "a long text": "x" * 100_000, "a surrogate": "\ud800",
    "deep": eval("[" * 90 + "]" * 90), "escape codes": "\x1b[31m\x07", "lines": "a\nb\r\nc", "a target": {"_target_": "os.system"},
}  # fmt: skip
KEYS = {
    "config.yaml": (
        "run",
        (
            *("name", "epochs", "seed", "device", "plots", "checkpoint", "evaluate", "tensorboard", "early_stopping"),
            *("model", "model.name", "data", "data.name", "data.augment", "data.batch_size", "optim", "optim.name"),
            *("optim.lr", "optim.betas", "optim.betas.0", "scheduler", "scheduler.name", "sweep", "search", "unknown"),
        ),
    ),
    "result.json": (
        "finished run",
        (
            "status",
            "metrics",
            "objective",
            "objective.value",
            "best_epoch",
            "seconds",
            "stopped",
            "environment",
            "name",
        ),
    ),
    "0/result.json": (
        "sweep",
        (
            *("status", "metrics", "metrics.test/loss", "objective", "objective.name", "objective.direction"),
            *("objective.value", "best_epoch", "seconds", "stopped", "error"),
        ),
    ),
    "plan.json": ("sweep", ("0", "1", "99")),
}
LINES = {
    "sweep.jsonl": (
        "sweep",
        (
            *("job", "overrides", "overrides.optim", "status", "seconds", "objective", "direction", "value"),
            *("best_epoch", "metrics", "metrics.test/loss", "error"),
        ),
    ),
    "metrics.jsonl": ("run", ("epoch", "step", "lr", "train/loss", "val/loss", "seconds", "unknown")),
    "study.journal": ("search", ("op_code", "worker_id", "study_name", "directions", "trial_id")),
}


def _values() -> dict[str, Case]:
    found = {}
    for kind, value in KINDS.items():
        for file, (base, keys) in KEYS.items():
            for key in keys:
                if file == "config.yaml" and kind in ("a surrogate", "deep"):
                    continue  # they are made by hand above
                setting = {key.replace("test/loss", "test/loss"): value}
                maker = in_yaml(file, setting) if file.endswith("yaml") else in_json(file, setting)
                found[f"{file}, {key} is {kind}"] = Case(base, maker, RESUME)
        for file, (base, keys) in LINES.items():
            for key in keys:
                found[f"{file}, {key} is {kind}"] = Case(base, in_json(file, {key: value}, 0), RESUME)
    return found


def _swapped(first: str, second: str) -> Maker:
    def make(place: Place) -> None:
        one, other = ((place / name).read_bytes() for name in (first, second))
        place.write(first, other)
        place.write(second, one)

    return make


def _missing(base: str, *names: str) -> Case:
    return Case(base, lacks(*names))


STRUCTURE: dict[str, Case] = {
    "a run without config.yaml": _missing("run", "config.yaml"),
    "a run without overrides.yaml": _missing("run", "overrides.yaml"),
    "a run without checkpoints": _missing("run", "checkpoints"),
    "a run without last.pt": _missing("run", "checkpoints/last.pt"),
    "a run without any checkpoint file": _missing("run", *(f"checkpoints/{n}.pt" for n in ("last", "best", "previous"))),
    "a run without best.pt": _missing("run", "checkpoints/best.pt"),
    "a run without metrics.jsonl": _missing("run", "metrics.jsonl"),
    "a finished run without result.json": _missing("finished run", "result.json"),
    "a sweep without overrides.yaml": _missing("sweep", "overrides.yaml"),
    "a sweep without plan.json": _missing("sweep", "plan.json"),
    "a sweep without sweep.jsonl": _missing("sweep", "sweep.jsonl"),
    "a sweep without jobs": _missing("sweep", "0", "1", "2"),
    "a sweep whose done job lacks its result": _missing("sweep", "0/result.json"),
    "a sweep whose done job lacks its checkpoints": _missing("sweep", "0/checkpoints"),
    "a sweep whose job lacks its config": _missing("sweep", "1/config.yaml"),
    "a search without its journal": _missing("search", "study.journal"),
    "a search without plan.json": _missing("search", "plan.json"),
    "a search without sweep.jsonl": _missing("search", "sweep.jsonl"),
    "a search without jobs": _missing("search", "0", "1"),
    "a finished search without its journal": _missing("finished search", "study.journal"),
    "jobs' results exchanged": Case("finished sweep", _swapped("0/result.json", "1/result.json")),
    "jobs' checkpoints exchanged": Case("sweep", _swapped("0/checkpoints/last.pt", "1/checkpoints/last.pt")),
    "plan and log exchanged": Case("sweep", _swapped("plan.json", "sweep.jsonl")),
    "words and plan exchanged": Case("sweep", _swapped("overrides.yaml", "plan.json")),
    "config and words exchanged": Case("run", _swapped("config.yaml", "overrides.yaml")),
    "result and metrics exchanged": Case("finished run", _swapped("result.json", "metrics.jsonl")),
    "a run with the files of a sweep": Case("run", also(holds("sweep.jsonl", "{}\n"), holds("plan.json", "{}"))),
    "a sweep with the files of a run": Case("sweep", holds("config.yaml", "name: x\n")),
    "a sweep with a journal": Case("sweep", holds("study.journal", "{}\n")),
    "a sweep of 2,000 jobs": Case("sweep", types("optim.lr=" + ",".join(f"0.{i:05}" for i in range(2000))), (("resume", "IT", "sweep.dry_run=true"),)),
    "a sweep of a million jobs": Case("sweep", types("seed=range(1000)", "optim.lr=range(1,1001)")),
    "a sweep of 10^18 jobs": Case("sweep", types("seed=range(1000000000)", "epochs=range(1,1000000000)")),
    "a sweep with a range without end": Case("sweep", types("seed=range(0,inf)")),
    "a sweep with a range of tiny steps": Case("sweep", types("optim.lr=range(0,1,1e-12)")),
    "a sweep whose words nest": Case("sweep", types("name=" + "[" * 300 + "]" * 300)),
    "a sweep whose words nest deeply": Case("sweep", types("name=" + "[" * 20_000 + "]" * 20_000)),
    "a sweep whose words are open": Case("sweep", types("name=" + "{a:" * 300)),
    "a sweep with a long word": Case("sweep", types("name=" + "x" * 1_000_000)),
    "a sweep with a word of 300 letters": Case("sweep", types("name=" + "x" * 300)),
    "a sweep with huge numbers": Case("sweep", types("epochs=" + "9" * 10_000)),
    "a sweep with more epochs than numbers": Case("sweep", types("epochs=1" + "0" * 5000)),
    "a search of 10^9 trials": Case("search", types("search.trials=1000000000"), (("resume", "IT", "sweep.dry_run=true"),)),
    "a search of no trials": Case("search", types("search.trials=0")),
    "a search of negative trials": Case("search", types("search.trials=-5")),
    "a search of huge ranges": Case("search", types("optim.lr=interval(1e-300,1e300)")),
    "a search of another range": Case("search", types("optim.lr=interval(5,6)")),
    "a search of other keys": Case("search", types("optim.eps=interval(0.1,0.2)")),
    "a search whose keys nest": Case("search", types("a.b.c.d.e.f=1,2")),
    "a run of a huge model": Case("run", in_yaml("config.yaml", {"model": {"name": "mlp", "hidden": 10**9, "in_features": 10**9}})),
    "a run of a huge batch": Case("run", in_yaml("config.yaml", {"data.batch_size": 10**18})),
    "a run of many workers": Case("run", in_yaml("config.yaml", {"data.workers": 10**6, "data.placement": "stream"})),
    "a run of made-up data without end": Case("run", in_yaml("config.yaml", {"data": {"name": "regression", "samples": 10**12, "features": 10**6}})),
    "a run of another version": Case("run", in_yaml("config.yaml", {"version": 99, "format": "trainer"})),
    "a run with a sweep in its config": Case("run", in_yaml("config.yaml", {"sweep": {"name": "slurm", "setup": ["touch canary"]}})),
    "a run with a search in its config": Case("run", in_yaml("config.yaml", {"search": {"name": "optuna"}})),
    "a run that is a pipe inside": Case("run", fifo("x")),
}  # fmt: skip

CASES: dict[str, Case] = {
    **{f"texts: {text} is {what}": Case(base, holds(_file(text), content), RESUME) for text, base in TEXTS.items() for what, content in CONTENTS.items()},
    **{f"texts: {text} {how}": Case(base, changes(_file(text), change), RESUME) for text, base in TEXTS.items() for how, change in CHANGED.items()},
    **{f"texts: {text} of ten gigabytes": Case(base, sparse(_file(text), head=b"{}\n"), RESUME) for text, base in TEXTS.items()},
    **{f"values: {where}": case for where, case in _values().items()},
    **{f"structure: {what}": case for what, case in STRUCTURE.items()},
}  # fmt: skip
