"""Malformed checkpoints: damaged ones, ones that lie about sizes, and files that are none."""

import gzip
import io
import json
import os
import pickle
import socket
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hostile import (
    MAGIC,
    Maker,
    archive,
    call,
    described,
    honest,
    legacy,
    legacy_storage,
    name,
    of,
    pickled,
    row,
    saved,
    state,
    storage,
    table,
    tensor,
    text,
    weights,
    whole,
)
from PIL import Image

WHOLE = saved(honest())
OLD = saved(honest(), legacy=True)
TERA = 10**12
_ZEROS = bytes(16)


def flipped(content: bytes, at: int) -> Maker:
    damaged = bytearray(content)
    damaged[at] ^= 4
    return of(bytes(damaged))


def where(record: str) -> int:
    """Where the content of a record of the honest file begins."""
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as file:
        entry = file.getinfo(f"archive/{record}")
        skip = sum(struct.unpack("<HH", WHOLE[entry.header_offset + 26 : entry.header_offset + 30]))
        return entry.header_offset + 30 + skip


def patched(content: bytes, mark: bytes, at: int, value: bytes, last: bool = True) -> Maker:
    """With `value` so many bytes behind the last (or first) `mark`."""
    begin = (content.rindex(mark) if last else content.index(mark)) + at
    return of(content[:begin] + value + content[begin + len(value) :])


def zipped(*records: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Maker:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            for record, content in records:
                file.writestr(record, content)

    return make


def bomb(path: Path) -> None:
    """200 MB of zeros in 200 kB."""
    zipped(
        ("archive/data.pkl", pickled(table({"w": tensor(storage(5 * 10**7), (5 * 10**7,))}))),
        ("archive/data/0", bytes(2 * 10**8)),
        method=zipfile.ZIP_DEFLATED,
    )(path)


def overlapping(path: Path) -> None:
    """One record of a megabyte under two hundred names."""
    content = bytes(2**20)
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(content), 2**20, 2**20, 14, 0)
    entries = b"".join(
        b"PK\1\2" + struct.pack("<HHHHHHIIIH", 20, 20, 0, 0, 0, 0, zlib.crc32(content), 2**20, 2**20, 14) + bytes(16)
        + b"archive/d%05d" % number
        for number in range(200)
    )  # fmt: skip
    begin = local + b"archive/d00000" + content
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 200, 200, len(entries), len(begin), 0)
    path.write_bytes(begin + entries + end)


def many_records(path: Path) -> None:
    """A directory of 20 MB."""
    entry = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, 0, 0, 0, 4, *[0] * 6) + b"a/bc"
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, len(entry) * 400_000, 0, 0)
    path.write_bytes(entry.replace(b"PK\1\2", b"PK\3\4") + entry * 399_999 + end)


def sparse_file(path: Path) -> None:
    path.write_bytes(WHOLE[:1000])
    os.truncate(path, TERA)


def unix_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.chdir(here)


def tar(path: Path) -> None:
    """The format of torch 0.1."""
    with tarfile.open(path, "w") as file:
        for record in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(record)
            info.size = 100
            file.addfile(info, io.BytesIO(pickle.dumps(1).ljust(100)))


def array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def laughs(opening: bytes, closing: bytes) -> bytes:
    """Ten times the one before, thirty times over; each is in the memo, and all in one tuple."""
    levels = b"".join(opening + b"h%c" % level * 10 + closing + b"q%c" % (level + 1) for level in range(30))
    return b"(Nq\x00" + levels + b"t"


def own(**changes: Any) -> Maker:
    return of(saved(honest(**changes)))


def says(**changes: Any) -> Maker:
    return of(saved(described(**changes)))


def body(content: bytes, **records: bytes) -> Maker:
    return lambda path: path.write_bytes(archive(pickled(content), records))


def model(content: bytes) -> Maker:
    """One of ours, whose model is this."""
    return body(table({"format": text("trainer"), "version": whole(2), "model": content, "description": text("{}")}))


DAMAGED: dict[str, Maker] = {
    **{f"cut at {at}": of(WHOLE[:at]) for at in (1, 3, 4, 29, 100, 1000, len(WHOLE) // 2)},
    **{f"cut {by} before the end": of(WHOLE[:-by]) for by in (1, 10, 22, 42, 98, 400)},
    **{f"old, cut at {at}": of(OLD[:at]) for at in (2, 14, 20, 200, len(OLD) // 2)},
    "old, cut before the end": of(OLD[:-1]),
    **{f"flip in the pickle {at}": flipped(WHOLE, where("data.pkl") + at) for at in (0, 2, 20, 150, 300)},
    "flip in the weights": flipped(WHOLE, where("data/0") + 5),
    "flip in byteorder": flipped(WHOLE, where("byteorder")),
    "flip in the CRC": flipped(WHOLE, WHOLE.index(b"PK\1\2") + 16),
    "flip in a local header": flipped(WHOLE, where("data/0") - 70),
    "flip in a name": flipped(WHOLE, WHOLE.rindex(b"archive/data/0")),
    "size of a record": patched(WHOLE, b"PK\1\2", 24, struct.pack("<I", 41)),
    "huge size of a record": patched(WHOLE, b"PK\1\2", 20, struct.pack("<II", 2**31, 2**31), last=False),
    "size beyond 4 GiB without zip64": patched(WHOLE, b"PK\1\2", 20, b"\xff" * 8, last=False),
    "offset of a record": patched(WHOLE, b"PK\1\2", 42, struct.pack("<I", 2**31)),
    "count of records": patched(WHOLE, b"PK\6\6", 24, struct.pack("<QQ", 2**40, 2**40)),
    "size of the directory": patched(WHOLE, b"PK\6\6", 40, struct.pack("<Q", 2**50)),
    "place of the directory": patched(WHOLE, b"PK\6\6", 48, struct.pack("<Q", 2**50)),
    "place of the zip64 end": patched(WHOLE, b"PK\6\7", 8, struct.pack("<Q", 2**62)),
    "encrypted": patched(WHOLE, b"PK\1\2", 8, b"\1\0", last=False),
    "something before the archive": of(b"#!/bin/sh\n" + WHOLE),
    "an archive before the archive": of(archive(pickled(b"}")) + WHOLE),
    "something behind the archive": of(WHOLE + b"hello"),
    "a comment": of(WHOLE[:-2] + b"\5\0hello"),
    "no pickle": zipped(("archive/data/0", _ZEROS), ("archive/version", b"3\n")),
    "no weights": zipped(("archive/data.pkl", pickled(table({"w": tensor()}))), ("archive/version", b"3\n")),
    "two folders": zipped(("archive/data.pkl", pickled(table({"w": tensor()}))), ("other/data/0", _ZEROS)),
    "no folder": zipped(("data.pkl", pickled(table({"w": tensor()}))), ("data/0", _ZEROS)),
    "two pickles that differ in case": of(archive(pickled(table({"w": tensor()})), {"DATA.PKL": pickled(b"}")})),
    "an archive in an archive": of(archive(WHOLE, {"data/0": WHOLE})),
    "unknown byte order": of(archive(pickled(table({"w": tensor()})), {"byteorder": b"middle"})),
    "deflated": zipped(("archive/data.pkl", pickled(table({"w": tensor()}))), ("archive/data/0", _ZEROS), method=8),
    "bzip2": zipped(("archive/data.pkl", pickled(table({"w": tensor()}))), ("archive/data/0", _ZEROS), method=12),
    "deflated bomb": bomb,
    "overlapping records": overlapping,
    "four hundred thousand records": many_records,
    "sparse file of a terabyte": sparse_file,
    "TorchScript": of(archive(pickled(table({"w": tensor()})), {"constants.pkl": pickled(b")")})),
}

SIZES: dict[str, Maker] = {
    "more values than there are": of(state(tensor(storage(5)))),
    "fewer values than there are": of(state(tensor(storage(3), (3,)))),
    "a terabyte of values": of(state(tensor(storage(TERA), (TERA,)))),
    "2^62 values": of(state(tensor(storage(2**62), (2**62,)))),
    "a negative number of values": of(state(tensor(storage(-4)))),
    "a number of values that is none": of(state(tensor(storage(4).replace(whole(4), text("4"))))),
    "a shape beyond the values": of(state(tensor(size=(5,)))),
    "a terabyte of four values": of(state(tensor(size=(TERA,)))),
    "strides beyond the values": of(state(tensor(size=(2, 2), stride=(3, 1)))),
    "huge strides": of(state(tensor(size=(2,), stride=(TERA,)))),
    "an offset beyond the values": of(state(tensor(offset=1))),
    "a negative offset": of(state(tensor(offset=-1))),
    "a negative shape": of(state(tensor(size=(-1,)))),
    "a negative stride": of(state(tensor(stride=(-1,), offset=3))),
    "shape and strides of two lengths": of(state(tensor(size=(2, 2), stride=(1,)))),
    "a shape that overflows": of(state(tensor(size=(2**62, 2**62), stride=(0, 0)))),
    "one value viewed a terabyte wide": of(state(tensor(storage(4), (TERA,), (0,)))),
    "a thousand views of a megabyte": of(state(*[tensor(storage(4), (10**6,), (0,))] * 1000)),
    "one storage of two kinds": of(state(tensor(), tensor(storage(2, kind="DoubleStorage"), (2,)))),
    "a storage that is not there": of(state(tensor(storage(4, key="7")))),
    "a storage outside the archive": of(state(tensor(storage(4, key="../../etc/passwd")))),
    "an untyped storage of a terabyte": body(table({"w": call("torch.storage", "UntypedStorage", whole(TERA))})),
    "a typed storage of a terabyte": body(table({"w": call("torch", "FloatStorage", whole(TERA))})),
    "a tensor made of its shape": body(table({"w": call("torch", "Tensor", whole(10**6), whole(10**6))})),
    "a tensor type made of its shape": body(table({"w": call("torch", "FloatTensor", whole(10**6), whole(10**6))})),
    "bytes made of their number": body(table({"w": call("builtins", "bytearray", whole(TERA))})),
    "a terabyte, counted": body(table({"w": call("collections", "Counter", b"]" + text("x") + b"a")})),
    "sparse": of(saved({"w": torch.eye(3).to_sparse()})),
    "meta": of(saved({"w": torch.zeros(10**6, 10**6, device="meta")})),
    "hooks": of(state(tensor(hooks=call("collections", "OrderedDict", row(row(whole(1), name("torch", "Size"))))))),
    "old, a terabyte of values": of(legacy(table({"w": tensor(legacy_storage(TERA), (TERA,))}))),
    "old, a terabyte in the list": of(
        legacy(table({"w": tensor(legacy_storage(4))}), values=struct.pack("<q", TERA) + _ZEROS)
    ),
    "old, a key that is not there": of(legacy(table({"w": tensor(legacy_storage(4))}), keys=("1",))),
    "old, a key twice": of(legacy(table({"w": tensor(legacy_storage(4))}), keys=("0", "0"))),
    "old, keys that are no list": of(legacy(table({"w": tensor(legacy_storage(4))}))[:-60] + pickled(b"N")),
    "old, a view": of(legacy(table({"w": tensor(legacy_storage(4, row(text("1"), whole(0), whole(TERA))))}))),
    "old, another version": of(MAGIC + pickled(whole(1002)) + OLD[len(MAGIC) + 6 :]),
}

PICKLES: dict[str, Maker] = {
    "lists in lists": body(table({"w": tensor(), "x": b"]" * 10**5 + b"a" * (10**5 - 1)})),
    "dictionaries in dictionaries": body((b"}" + text("x")) * 10**4 + b"N" + b"s" * 10**4),
    "tuples in tuples": body(table({"w": tensor(), "x": b")" + b"\x85" * 3 * 10**5})),
    "tuples in tuples as a key": body(b"}" + b")" + b"\x85" * 3 * 10**5 + b"Ns"),
    "a key whose hash takes forever": body(b"}" + laughs(b"(", b"t") + b"Ns"),
    "a billion laughs in lists": body(table({"w": tensor(), "x": laughs(b"](", b"e")})),
    "a billion laughs in tuples": body(table({"w": tensor(), "x": laughs(b"(", b"t")})),
    "a billion laughs in dictionaries": body(
        table(
            {
                "w": tensor(),
                "x": b"(Nq\x00"
                + b"".join(
                    b"}(" + b"".join(text(str(k)) + b"h%c" % i for k in range(10)) + b"uq%c" % (i + 1)
                    for i in range(30)
                )
                + b"t",
            }
        )
    ),
    "a list in itself": body(table({"w": tensor(), "x": b"]q\x00h\x00a"})),
    "a dictionary in itself": body(b"}q\x00" + text("model") + b"h\x00s"),
    "a memo with a huge index": body(b"}r\xff\xff\xff\x7f" + b"j\xfe\xff\xff\x7f"),
    "a text of four gigabytes": body(b"X\xff\xff\xff\xff" + b"x" * 100),
    "a number of 255 bytes": body(table({"w": tensor(), "x": b"\x8a\xff" + b"\x7f" * 255})),
    "a number of two gigabytes": body(b"\x8b\xff\xff\xff\x7f" + b"\x7f" * 255),
    "three million instructions": body(table({"w": tensor(), "x": b"](" + b"N" * 3 * 10**6 + b"e"})),
    "a million dictionaries": body(table({"w": tensor(), "x": b"](" + b"}" * 10**6 + b"e"})),
    "a pickle of 70 MB": lambda path: body(text("x" * 7 * 10**7))(path),
    "a text of 40 MB in wide letters": lambda path: body(text("\U0001f600" + "x" * 4 * 10**7))(path),
    "no end": of(archive(b"\x80\x02" + table({"w": tensor()}))),
    "an end at once": of(archive(b".")),
    "two values": body(b"}}"),
    "a mark left over": body(b"(" + table({"w": tensor()})),
    "a mark in the memo": body(b"(q\x00" + table({"w": tensor()}) + b"h\x00"),
    "an empty stack": body(b"0" * 10),
    "a key without value": body(b"}(" + text("x") + b"u"),
    "entries of a list": body(b"](" + text("x") + b"Nu"),
    "a newer protocol": of(archive(pickle.dumps({"w": 1}, protocol=4))),
    "letters that are none": body(b"X\x02\x00\x00\x00\xff\xfe"),
    "a surrogate as a name": body(table({"\ud800": tensor(size=(2, 2), stride=(2, 1))})),
    "a name with escapes": body(table({"\x1b[2Jlinear\n\nerror: x": tensor()})),
}

CONTENT: dict[str, Maker] = {
    **{
        f"holds {type(x).__name__}": of(saved(x))
        for x in (None, 1, "x", b"x", [1], (1,), 1.5, torch.zeros(2), torch.Size([2]))
    },
    "an empty state_dict": of(saved({})),
    "nothing but an epoch": of(saved({"epoch": 3})),
    "keys that are numbers": of(saved({1: torch.zeros(2)})),
    "weights that are lists": of(saved({"linear.weight": [[0.0] * 10], "linear.bias": [0.0]})),
    "a bare state_dict": of(saved(weights())),
    "a weight too few": own(model={"linear.weight": torch.zeros(1, 10)}),
    "a weight too many": own(model=weights() | {"x": torch.zeros(1)}),
    "a wrong shape": own(model=weights() | {"linear.weight": torch.zeros(10, 1)}),
    "no model": own(model=None),
    "an empty model": own(model={}),
    "a model of text": own(model={"linear.weight": "x"}),
    "a model that is a tensor": own(model=torch.zeros(3)),
    **{f"version {v!r}": own(version=v) for v in (0, -1, 1, 99, 2**60, 1.0, True, "1", [1])},
    "no version": own(version=None),
    "an epoch of text": own(epoch="x" * 1000),
    "a negative step": own(step=-1),
    "an epoch of weights": own(epoch=torch.zeros(3)),
    "no description": own(description=None),
    **{
        f"description {d!r}": own(description=d)
        for d in ("", "{", "[]", "1", "null", '{"a": NaN}', '{"mean": [-Infinity]}', 7, b"{}")
    },
    "a description of ten megabytes": own(description=json.dumps({"classes": ["x" * 9 * 10**6]})),
    "a description nested deeply": own(description='{"a":' * 50_000 + "1" + "}" * 50_000),
    "a description nested a little": own(description='{"model":' * 30 + "1" + "}" * 30),
    "a description with a huge number": own(
        description='{"model": {"name": "linear", "in_features": 1' + "0" * 400 + "}}"
    ),
    "a description with a number of 5,000 digits": own(description='{"samples": ' + "9" * 5000 + "}"),
    "classes that are numbers": says(classes=[1, 2]),
    "a mean that is infinite": own(description='{"mean": [1e999]}'),
    "a negative standard deviation": says(std=[-1.0]),
    "samples that are true": says(samples=True),
    "a model that is a list": says(model=["linear"]),
    "a model without name": says(model={}),
    "a model of an unknown kind": says(model={"name": "transformer"}),
    "a model with an unknown key": says(model={"name": "linear", "in_features": 10, "out_features": 1, "x": 1}),
    "a model with a wrong type": says(model={"name": "linear", "in_features": "many", "out_features": 1}),
    "a model out of range": says(model={"name": "linear", "in_features": -10, "out_features": 1}),
    "a model with infinite dropout": own(
        description='{"model": {"name": "lenet", "dropout": 1e999}, "data": {"name": "diabetes"}}'
    ),
    "a model of gigabytes": says(model={"name": "mlp", "in_features": 10, "out_features": 1, "hidden": 10**9}),
    "a model of 2^62 units": says(model={"name": "mlp", "in_features": 10, "out_features": 1, "hidden": 2**62}),
    "data of terabytes": says(data={"name": "regression", "n_samples": 10**9, "n_features": 1000}),
    "data of 2^62 samples": says(data={"name": "regression", "n_samples": 2**62, "n_features": 2**62}),
    "data of an unknown kind": says(data={"name": "imagenet"}),
    "an unknown loss": says(loss="os.system"),
    "columns of other data": says(columns=["a", "b"]),
}

FOREIGN: dict[str, Maker] = {
    "empty": of(b""),
    "JSON": of(b'{"model": {"fc.weight": [1, 2]}}'),
    "text": of(b"hello world\n" * 100),
    "one line of ten megabytes": of(b"x" * 10**7),
    "zeros": of(bytes(10**6)),
    "random": of(np.random.default_rng(0).bytes(10**5)),
    "an image": lambda path: Image.new("RGB", (8, 8)).save(path, format="png"),
    "a plain pickle": of(pickle.dumps({"w": [1.0]})),
    "a compressed pickle": of(gzip.compress(pickle.dumps({"w": [1.0]}))),
    "a compressed checkpoint": of(gzip.compress(WHOLE)),
    "NumPy's": array,
    "several of NumPy's": lambda path: (
        path.with_suffix(".npz").rename(path) if not np.savez(path.with_suffix(".npz"), w=np.zeros(3)) else None
    ),
    "a zip of text": zipped(("readme.txt", b"hello")),
    "an empty zip": zipped(),
    "tar": tar,
    "safetensors with a header that lies": of(
        struct.pack("<Q", 2**60) + b'{"w":{"dtype":"F32","shape":[1000000,1000000]}}'
    ),
    "HDF5": of(b"\x89HDF\r\n\x1a\n" + bytes(1000)),
    "a program": of(b"\x7fELF" + bytes(1000)),
    "a script": of(b"#!/bin/sh\ntouch canary\n"),
    "torch's magic number alone": of(MAGIC),
    "a pipe": os.mkfifo,
    "a socket": unix_socket,
    "a directory": Path.mkdir,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a file without content of the system's": lambda path: path.symlink_to("/proc/self/environ"),
    "a directory whose best.pt is a pipe": lambda path: (path.mkdir(), os.mkfifo(path / "best.pt")),
}

MALFORMED = {**DAMAGED, **SIZES, **PICKLES, **CONTENT, **FOREIGN}
