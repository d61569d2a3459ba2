"""Seeded changes to what a file holds: to the tree that it was parsed to, or to its bytes."""
# ruff: noqa: E501, RUF001 -- tables

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from .arena import MODULE

Tree = Any
Path = tuple[Any, ...]  # keys and places that lead from a tree's top to one of its values

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.0, -0.0, 1e-320, 1e308),
    *(float("nan"), float("inf"), float("-inf"), 0.1, "", " ", "\n", "x", "0", "-1", "01", "1e3", "NaN", "inf", "null"),
    *("true", "~", "-", "=", "-m", "--multirun", "--config-dir=OUTSIDE", "--cfg=job", "--help", "-cd", "²", "١", "½"),
    *("${oc.env:SECRET}", "a${oc.env:SECRET}b", "${oc.decode:${oc.env:SECRET}}", "${name}", "${output}", "${", "\\${x}"),
    *("${hydra:runtime.cwd}", "${seed}", "${data.features}", "${model}", "${.}", "${oc.select:name}", "${now:%Y}"),
    *("OUTSIDE/new", "OUTSIDE/bashrc", "OUTSIDE/private.csv", "OUTSIDE/folder", "../../outside/new", "../../../x", ".."),
    *("/dev/zero", "/dev/stdin", "/proc/self/environ", "~/new", "http://127.0.0.1:9/x", "file://OUTSIDE/new", "\0"),
    *(f"{MODULE}.Thing", "os.system", "trainer.cli.main", "../../evil", "linear", "mlp", "lenet", "digits", "diabetes"),
    *("mnist", "cifar10", "csv", "folder", "sgd", "adam", "onecycle", "slurm", "ray", "parallel", "batched", "optuna"),
    *("serial", "none", "auto", "cuda", "cuda:99", "mps", "cpu", "completed", "failed", "interrupted", "pruned", "not run"),
    *("model={_target_:os.system}", f"model._target_={MODULE}.Thing", "sweep.setup=[touch canary]", "sweep=slurm"),
    *("sweep.address=127.0.0.1:9", "data.root=OUTSIDE/new", "data.cache=OUTSIDE/new", "output=OUTSIDE/new", "name=/x"),
    *("name=../../../x", "hydra.searchpath=[file://OUTSIDE]", "hydra.run.dir=OUTSIDE", "~model", "+x=1", "epochs=1,2"),
    *("optim.lr=interval(0,1)", "seed=range(5)", "model=linear,mlp", "experiment=line", "search=optuna", "device=cuda"),
    *("\x1b[31mred", "a\nb", "a\rb", "\u202eabc", "\ud800", "=1+1", "@x", "[red]x[/red]", "%s%n", "{0}", "🙂", "ä" * 50),
    *("x" * 300, "x" * 70_000, "[" * 300, "{a:" * 100, "9" * 5000, "val/loss", "test/loss", "max", "min", "minimize"),
    *([], {}, [None], [[]], {"": None}, {"_target_": "os.system"}, {"_target_": f"{MODULE}.Thing"}, [1] * 1000),
    *({"name": "linear"}, {"name": "mnist", "root": "OUTSIDE/new"}, {"name": {"name": "x"}}, {"a": {"b": {"c": 1}}}),
    *("a, b", "a=b=c", "a b", "'", '"', "#", "&a", "*a", "!!python/name:os.system", "<<", "- x", "a: b", "\ufeff", "\u2028"),
)  # fmt: skip
LARGEST = 4_000_000
KEYS: tuple[str, ...] = (
    *("_target_", "_partial_", "_args_", "defaults", "hydra", "<<", "", "name", "root", "path", "cache", "download"),
    *(
        "weights",
        "workers",
        "placement",
        "${oc.env:SECRET}",
        "\x1b[31m",
        "a\nb",
        "x" * 300,
        "..",
        "__class__",
        "0",
        "-1",
    ),
    *(
        "setup",
        "options",
        "address",
        "partition",
        "output",
        "from",
        "directory",
        "choices",
        "typed",
        "metrics",
        "error",
    ),
)


def mutated(tree: Tree, rng: random.Random) -> Tree:
    """A copy of `tree` with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        changed = rng.choice(CHANGES)(copy.deepcopy(tree), rng)
        if _size(changed) > LARGEST:
            break
        tree = changed
    return tree


def _size(tree: Tree) -> int:
    """Letters and values in it, counted to little more than `LARGEST`: more would take the memory of this process."""
    found, waiting = 0, [tree]
    while waiting and found <= LARGEST:
        value = waiting.pop()
        found += 1 + (len(value) if isinstance(value, str) else 0)
        if isinstance(value, dict):
            found += sum(map(len, map(str, value)))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def _paths(tree: Tree, path: Path = ()) -> Iterator[Path]:
    """Those to all values of a tree, its own first."""
    if len(path) > 40:
        return
    yield path
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield from _paths(value, (*path, key))


def _get(tree: Tree, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _put(tree: Tree, path: Path, value: Any) -> Tree:
    if not path:
        return value
    _get(tree, path[:-1])[path[-1]] = value
    return tree


def _any(tree: Tree, rng: random.Random, inner: bool = True) -> Path | None:
    """A path of the tree; by itself not its own."""
    paths = list(_paths(tree))[int(inner) :]
    return rng.choice(paths) if paths else None


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(NASTY))


def _replace(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng, inner=rng.random() < 0.98)
    return tree if path is None else _put(tree, path, _value(rng))


def _drop(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng)
    if path is not None:
        del _get(tree, path[:-1])[path[-1]]
    return tree


def _duplicate(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng)
    if path is None:
        return tree
    parent = _get(tree, path[:-1])
    value = parent[path[-1]] if rng.random() < 0.3 else copy.deepcopy(parent[path[-1]])
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), value)
    else:
        parent[rng.choice((*KEYS, f"{path[-1]}2"))] = value
    return tree


def _retype(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng)
    if path is None:
        return tree
    value = _get(tree, path)
    forms: tuple[Callable[[Any], Any], ...] = (
        str, lambda v: [v], lambda v: {"x": v}, lambda v: str(v).encode(errors="surrogatepass").hex(), bool, lambda v: None, len_of,
        lambda v: list(v) if isinstance(v, dict | str) else v, lambda v: json.dumps(v, default=str),
    )  # fmt: skip
    return _put(tree, path, rng.choice(forms)(value))


def len_of(value: Any) -> int:
    """How many entries it has."""
    return len(value) if hasattr(value, "__len__") else 0


def _nest(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng, inner=rng.random() < 0.9)
    if path is None:
        return tree
    value = _get(tree, path)
    for _ in range(rng.choice((1, 2, 5, 20, 60, 120))):
        value = [value] if rng.random() < 0.5 else {rng.choice(KEYS): value}
    return _put(tree, path, value)


def _enlarge(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng)
    if path is None:
        return tree
    value, factor = _get(tree, path), rng.choice((2, 10, 300, 5000))
    if isinstance(value, list | dict):
        factor = min(factor, 1 + LARGEST // (1 + _size(value)))
    if isinstance(value, bool | None):
        return tree
    if isinstance(value, str):
        larger: Any = (value or "x") * min(factor, 1 + 10**6 // max(1, len(value)))
    elif isinstance(value, list):
        larger = [copy.deepcopy(entry) for _ in range(min(factor, 300)) for entry in value][:3000]
    elif isinstance(value, dict):
        larger = {f"{key}{i}": entry for i in range(min(factor, 300)) for key, entry in value.items()} | value
    elif isinstance(value, int):
        larger = value * 10 ** min(factor, 3000) if value.bit_length() < 2000 else value  # Python writes 4,300 digits
    else:
        larger = value * 10.0 ** min(factor, 300)
    return _put(tree, path, larger)


def _swap(tree: Tree, rng: random.Random) -> Tree:
    one, other = _any(tree, rng), _any(tree, rng)
    if one is None or other is None or one[: len(other)] == other or other[: len(one)] == one:
        return tree
    first, second = _get(tree, one), _get(tree, other)
    return _put(_put(tree, one, second), other, first)


def _copy_over(tree: Tree, rng: random.Random) -> Tree:
    """A value in place of another one."""
    one, other = _any(tree, rng), _any(tree, rng)
    return tree if one is None or other is None else _put(tree, one, copy.deepcopy(_get(tree, other)))


def _rename(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng)
    if path is None or not isinstance(parent := _get(tree, path[:-1]), dict):
        return tree
    key = rng.choice((*KEYS, str(path[-1]).upper(), f" {path[-1]}", f"{path[-1]}.x", f"++{path[-1]}", f"'{path[-1]}'"))
    parent[key] = parent.pop(path[-1])
    return tree


def _add(tree: Tree, rng: random.Random) -> Tree:
    path = _any(tree, rng, inner=False)
    parent = _get(tree, path) if path is not None else None
    if isinstance(parent, dict):
        parent[rng.choice(KEYS)] = _value(rng)
    elif isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), _value(rng))
    return tree


def _within(tree: Tree, rng: random.Random) -> Tree:
    """A change within a text: of the JSON that it holds, of the value after its =, or of its letters."""
    texts = [path for path in _paths(tree) if path and isinstance(_get(tree, path), str)]
    if not texts:
        return _replace(tree, rng)
    path = rng.choice(texts)
    text = _get(tree, path)
    if text.startswith("{") and rng.random() < 0.9:
        try:
            return _put(tree, path, json.dumps(mutated(json.loads(text), rng), default=str))
        except (ValueError, RecursionError):
            pass
    key, equals, value = text.partition("=")
    if equals and rng.random() < 0.8:
        nasty = str(rng.choice(NASTY[: len(NASTY)]))[:2000]
        return _put(tree, path, f"{key}={nasty}" if rng.random() < 0.7 else f"{nasty}={value}")
    at = rng.randrange(len(text) + 1)
    letters = rng.choice(
        ("\0", "\n", "'", '"', "{", "[", ",", "${", "\\", ".", "/", "=", "-", "9", "\x1b", "\ud800", " ")
    )
    return _put(tree, path, text[:at] + letters + text[at + rng.choice((0, 0, 1)) :])


CHANGES: tuple[Callable[[Tree, random.Random], Tree], ...] = (
    *(_replace, _replace, _replace, _drop, _drop, _duplicate, _retype, _retype, _nest, _enlarge, _swap, _copy_over),
    *(_rename, _add, _add, _within, _within),
)  # fmt: skip


def mangled(content: bytes, rng: random.Random) -> bytes:
    """`content` with one to three changes to its bytes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        match rng.randrange(9):
            case 0:
                content = content[:start]
            case 1 if content:
                at = rng.randrange(len(content))
                content = content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
            case 2:
                content = content[:start] + rng.randbytes(rng.choice((1, 4, 100))) + content[start:]
            case 3:
                content = content[:start] + content[end:]
            case 4:
                content = content[:end] + content[start:]
            case 5:
                content = content[:start] + bytes(rng.choice((1, 100, 5000))) + content[start:]
            case 6:
                content = content[:start] + rng.choice(BITS) + content[start:]
            case 7:
                lines = content.splitlines(keepends=True)
                rng.shuffle(lines)
                content = b"".join(lines)
            case _:
                content = content.replace(rng.choice(BITS[:12]), rng.choice(BITS))
    return content


BITS = (
    *(b"\n", b":", b'"', b"{", b"}", b"[", b"]", b",", b"-", b" ", b"0", b"1", b"'", b"\0", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80"),
    *(b"*a", b"&a ", b"!!python/name:os.system ", b"${oc.env:SECRET}", b"1e999", b"NaN", b"[" * 200, b"\\u0000", b"\\ud800"),
    *(b"\xef\xbb\xbf", b"\x1b[31m", b"---\n", b"...\n", b"%YAML 1.1\n", b"<<: ", b"? ", b"\t", b"#", b"|\n", b">\n", b"9" * 5000),
)  # fmt: skip
