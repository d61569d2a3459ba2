"""Checkpoints that try to run code, import modules, read the environment and files, or reach the network.

What succeeds makes a file `canary` in the current directory, or shows on screen what is in $SECRET or in `elsewhere`.
"""

import builtins
import collections
import functools
import importlib
import io
import operator
import os
import pickle
import runpy
import shutil
import socket
import subprocess
import tarfile
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

import torch
import yaml
from hostile import (
    MAGIC,
    Maker,
    archive,
    call,
    described,
    honest,
    legacy,
    name,
    of,
    pickled,
    row,
    saved,
    table,
    tensor,
    text,
    whole,
)

SHELL = "touch canary"
PYTHON = "open('canary', 'w').close()"
MODULE = "hostile_module"  # what imports it makes the canary
ELSEWHERE = "elsewhere.csv"  # a file that no checkpoint should have read


class Call:
    """Unpickled by `pickle.load`, it is what the call returns."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def holds(value: Any) -> Maker:
    """One of ours with this in place of its optimizer."""
    return of(saved(honest(optimizer=value)))


def raw(value: bytes) -> Maker:
    """A state_dict beside something made by hand."""
    return of(archive(pickled(table({"linear.weight": tensor(), "x": value}))))


def says(**changes: Any) -> Maker:
    return of(saved(described(**changes)))


def linear(**changes: Any) -> Maker:
    return says(model={"name": "linear", "in_features": 10, "out_features": 1} | changes)


def data(**values: Any) -> Maker:
    return says(data=values)


def tar(path: Path) -> None:
    """The format of torch 0.1, whose pickles are read one after another."""
    with tarfile.open(path, "w") as file:
        for record in ("storages", "tensors", "pickle"):
            content = pickle.dumps(Call(os.system, SHELL))
            info = tarfile.TarInfo(record)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


OLD = MAGIC + pickled(whole(1001))
SYSTEM = call("os", "system", text(SHELL))

GADGETS: dict[str, Maker] = {
    "os.system": holds(Call(os.system, SHELL)),
    "os.popen": holds(Call(os.popen, SHELL)),
    "os.execvp": raw(call("os", "execvp", text("touch"), b"](" + text("touch") + text("canary") + b"e")),
    "nt.system": raw(call("nt", "system", text(SHELL))),
    "eval": holds(Call(eval, PYTHON)),
    "exec": holds(Call(exec, PYTHON)),
    "Python 2's eval": raw(call("__builtin__", "eval", text(PYTHON))),
    "compile": holds(Call(compile, PYTHON, "x", "exec")),
    "__import__": holds(Call(builtins.__import__, MODULE)),
    "getattr": holds(Call(getattr, Call(importlib.import_module, "os"), "system")),
    "open": holds(Call(open, "canary", "w")),
    "subprocess.Popen": holds(Call(subprocess.Popen, ["touch", "canary"])),
    "subprocess.check_output": holds(Call(subprocess.check_output, SHELL, None, None)),
    "importlib": holds(Call(importlib.import_module, MODULE)),
    "a class that has to be imported": raw(call(MODULE, "Anything")),
    "functools.partial": holds(Call(functools.partial(os.system, SHELL))),
    "functools.reduce": holds(Call(functools.reduce, os.system, [SHELL])),
    "map": holds(Call(list, Call(map, os.system, [SHELL]))),
    "operator.attrgetter": holds(Call(operator.attrgetter("system"), Call(importlib.import_module, "os"))),
    "operator.methodcaller": holds(Call(operator.methodcaller("system", SHELL), Call(importlib.import_module, "os"))),
    "runpy": holds(Call(runpy.run_module, MODULE)),
    "shutil": holds(Call(shutil.copyfile, ELSEWHERE, "canary")),
    "yaml": holds(Call(yaml.unsafe_load, f"!!python/object/apply:os.system ['{SHELL}']")),
    "webbrowser": holds(Call(webbrowser.open, "http://127.0.0.1:9")),
    "urlopen": holds(Call(urllib.request.urlopen, "http://127.0.0.1:9")),
    "a socket": holds(Call(socket.create_connection, ("127.0.0.1", 9))),
    "ctypes": raw(call("ctypes", "CDLL", text("libc.so.6"))),
    "copyreg": raw(call("copyreg", "_reconstructor", name("os", "system"), name("builtins", "object"), b"N")),
    "torch.load": holds(Call(torch.load, "other.pt", None, None)),
    "torch.hub": holds(Call(torch.hub.load, ".", "anything")),
    "torch.hub from a URL": holds(Call(torch.hub.load_state_dict_from_url, "http://127.0.0.1:9/x.pt")),
    "torch.jit": holds(Call(torch.jit.load, "other.pt")),
    "torch.ops": raw(call("torch.ops", "load_library", text("./canary.so"))),
    "torch.from_file": raw(call("torch.storage", "UntypedStorage.from_file", text("canary"), b"\x88", whole(64))),
    "a model": of(saved(torch.nn.Linear(10, 1))),
    "a storage from NumPy": raw(call("torch._utils", "_rebuild_device_tensor_from_numpy", b"N", b"N", b"N", b"\x89")),
    "a tensor of another type": raw(
        call("torch._tensor", "_rebuild_from_type_v2", name("os", "system"), name("torch", "Tensor"), row(), b"N")
    ),
    "a wrapper": raw(call("torch._utils", "_rebuild_wrapper_subclass", *[b"N"] * 7)),
    "a hook": raw(tensor(hooks=call("collections", "OrderedDict", row(row(whole(0), name("os", "system")))))),
    "codecs": raw(call("codecs", "decode", text(SHELL), text("rot13"))),
    "a codec that has to be imported": raw(call("_codecs", "encode", text("x"), text("punycode"))),
    "BUILD of an object": holds(Call(collections.deque, state={"__setstate__": os.system})),
    "BUILD of methods": of(
        archive(pickled(call("collections", "OrderedDict") + table({"items": name("torch", "Size")}) + b"b"))
    ),
    "BUILD of a tensor": raw(tensor() + table({"__class__": name("os", "system")}) + b"b"),
    "INST": raw(b"(" + text(SHELL) + b"ios\nsystem\n"),
    "OBJ": raw(b"(" + name("os", "system") + text(SHELL) + b"o"),
    "NEWOBJ": raw(name("os", "system") + row(text(SHELL)) + b"\x81"),
    "NEWOBJ of a parameter": raw(name("torch.nn.parameter", "Parameter") + row(text(SHELL)) + b"\x81"),
    "NEWOBJ_EX": raw(name("os", "system") + row(text(SHELL)) + b"}\x92"),
    "STACK_GLOBAL": raw(text("os") + text("system") + b"\x93" + row(text(SHELL)) + b"R"),
    "STACK_GLOBAL with dots": raw(text("torch") + text("os.system") + b"\x93" + row(text(SHELL)) + b"R"),
    "GLOBAL with dots": raw(call("torch", "os.system", text(SHELL))),
    "an extension of copyreg": raw(b"\x82\xf0" + row(text(SHELL)) + b"R"),
    "a named persistent id": raw(b"Pos.system\n"),
    "a persistent module": raw(row(text("module"), name("os", "system"), text("x"), text("y")) + b"Q"),
    "a storage of a function": raw(row(text("storage"), name("os", "system"), text("0"), text("cpu"), whole(4)) + b"Q"),
    "a call of a text": raw(text("os.system") + row(text(SHELL)) + b"R"),
    "a name as a value": raw(name("torch._utils", "_rebuild_tensor_v2")),
    "a name in the memo": raw(name("os", "system") + b"q\x05" + row(text(SHELL)) + b"R"),
    "in place of the weights": of(saved(honest(model=Call(os.system, SHELL)))),
    "in place of the description": of(saved(honest(description=Call(os.system, SHELL)))),
    "in a key": of(archive(pickled(b"}" + SYSTEM + b"Ns"))),
    "in a second pickle": of(archive(pickled(table({"w": tensor()})), {"DATA.PKL": pickled(SYSTEM)})),
    "behind the end": of(archive(pickled(b"}") + SYSTEM + b".")),
    "TorchScript": of(archive(pickled(b"}"), {"constants.pkl": pickled(SYSTEM), "code/x.py": PYTHON.encode()})),
    "old": of(saved(honest(optimizer=Call(os.system, SHELL)), legacy=True)),
    "old, in the facts about the system": of(OLD + pickled(SYSTEM) + pickled(b"}") + pickled(b"]")),
    "old, in the list": of(OLD + pickled(b"}") + pickled(b"}") + pickled(SYSTEM)),
    "old, in place of the magic number": of(pickled(SYSTEM)),
    "old, a module with its source": of(
        legacy(table({"w": row(text("module"), name("os", "system"), text(MODULE + ".py"), text(PYTHON)) + b"Q"}))
    ),
    "a plain pickle": of(pickle.dumps(Call(os.system, SHELL))),
    "an old plain pickle": of(pickle.dumps(Call(os.system, SHELL), protocol=0)),
    "tar": tar,
}  # fmt: skip

NAMES = (
    *("os.path", "../x", "../../etc/passwd", "trainer.cli", MODULE, f"{MODULE}.Anything", "__init__", ""),
    *(["linear"], {"linear": 1}, 7, None),
)
RESNET = {"name": "torchvision", "arch": "resnet18", "in_channels": 3, "num_classes": 10}

DESCRIPTIONS: dict[str, Maker] = {
    "_target_": says(model={"_target_": "os.system", "command": SHELL}),
    "_target_ beside a name": linear(_target_="os.system"),
    "_target_ in a value": data(name="diabetes", augment={"_target_": "os.system", "command": SHELL}),
    "_target_ deep down": data(name="diabetes", augment={"crop": [{"_target_": f"{MODULE}.Anything"}]}),
    "_args_": linear(_args_=[SHELL]),
    "_partial_": linear(_partial_=True),
    "_recursive_": data(name="diabetes", _recursive_=True),
    "__class__": linear(__class__="os.system"),
    "a class": says(model={"class": "os.system", "command": SHELL}),
    "a class of data": data(**{"class": f"{MODULE}.Anything"}),
    "a class that is a list": says(model={"class": ["os.system"]}),
    **{f"a model called {n!r}": says(model={"name": n}) for n in NAMES},
    **{f"data called {n!r}": data(name=n) for n in ("os", "trainer.data.sets.csv", "../csv", "download", ["csv"])},
    "the environment in a name": says(model={"name": "${oc.env:SECRET}"}),
    "the environment in a value": linear(in_features="${oc.env:SECRET}"),
    "the environment in a key": linear(**{"${oc.env:SECRET}": 1}),
    "the environment in the data": data(name="mnist", root="${oc.env:SECRET}"),
    "the environment in a list": data(name="folder", path=".", mean=["${oc.env:SECRET}"]),
    "the environment in a class": says(model={"class": "${oc.env:SECRET}"}),
    "the environment, escaped": linear(in_features="\\${oc.env:SECRET}"),
    "the environment, nested": data(name="mnist", root="${oc.decode:${oc.env:SECRET}}"),
    "oc.decode": linear(in_features="${oc.decode:'10'}"),
    "oc.create": linear(in_features="${oc.create:{a:1}}"),
    "hydra": data(name="mnist", root="${hydra:runtime.cwd}"),
    "another key": linear(in_features="${ckpt}"),
    "weights from a file": says(model=RESNET | {"weights": ELSEWHERE}),
    "weights from a URL": says(model=RESNET | {"weights": "http://127.0.0.1:9/x"}),
    **{
        f"the network {arch!r} of {library}": says(model=RESNET | {"name": library, "arch": arch})
        for library in ("torchvision", "timm")
        for arch in ("hf-hub:somebody/model", "local-dir:/tmp", "../x", "os.system", ["resnet18"], 7, None)
    },
    "weights to download": says(model=RESNET | {"weights": "DEFAULT"}),
    "a cache elsewhere": data(name="digits", cache="elsewhere"),
    "workers": data(name="diabetes", workers=1000),
    "a download": data(name="mnist", root="elsewhere", download=True),
    "a root to download to": data(name="mnist", root="elsewhere"),
    "CIFAR-10 to download": data(name="cifar10", root="elsewhere"),
    "a pipe as a table": data(name="csv", path="pipe", target="x"),
    "a device as a table": data(name="csv", path="/dev/zero", target="x"),
    "a terminal as a folder": data(name="folder", path="/dev/tty"),
    "a URL as a table": data(name="csv", path="http://127.0.0.1:9/x.csv", target="x"),
    "another user's home": data(name="csv", path="~nobody-of-that-name/x.csv", target="x"),
    "a choice with a path": says(model={"class": "a.B"}, choices={"model": "../../x", "data": "y"}),
    "a choice for the shell": says(model={"class": "a.B"}, choices={"model": "$(touch canary)", "data": "y"}),
    "choices that are numbers": says(choices={"model": 1}),
}  # fmt: skip

CODE = {**GADGETS, **DESCRIPTIONS}
