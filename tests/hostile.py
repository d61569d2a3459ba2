"""What the makers of hostile files share: an honest checkpoint to damage, and pickles and archives made by hand."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

Maker = Callable[[Path], Any]


def weights() -> dict[str, torch.Tensor]:
    """Those of `model=linear data=diabetes`."""
    return {"linear.weight": torch.zeros(1, 10), "linear.bias": torch.full((1,), 150.0)}


def honest(**changes: Any) -> dict[str, Any]:
    """A checkpoint that `trainer eval` evaluates; what is given goes in its place, and None leaves it out."""
    description = {
        "model": {"name": "linear", "in_features": 10, "out_features": 1},
        "data": {"name": "diabetes"},
        "loss": "mse",
    }
    content = {"format": "trainer", "version": 2, "model": weights(), "description": json.dumps(description)} | changes
    return {k: v for k, v in content.items() if v is not None}


def described(**changes: Any) -> dict[str, Any]:
    """An honest checkpoint with another description of its model or data."""
    description: dict[str, Any] = json.loads(honest()["description"])
    return honest(description=json.dumps(description | changes))


def saved(content: Any, legacy: bool = False) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def of(content: bytes) -> Maker:
    """The maker of a file with this content."""
    return lambda path: path.write_bytes(content)


# --- pickles, instruction by instruction --------------------------------------------------------------


def text(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def whole(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    encoded = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def name(module: str, function: str) -> bytes:
    return f"c{module}\n{function}\n".encode()


def row(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def call(module: str, function: str, *arguments: bytes) -> bytes:
    return name(module, function) + row(*arguments) + b"R"


def table(entries: Mapping[str, bytes]) -> bytes:
    """A dictionary."""
    return b"}(" + b"".join(text(k) + v for k, v in entries.items()) + b"u"


def storage(numel: int, key: str = "0", kind: str = "FloatStorage", module: str = "torch") -> bytes:
    return row(text("storage"), name(module, kind), text(key), text("cpu"), whole(numel)) + b"Q"


def tensor(
    values: bytes | None = None,
    size: tuple[int, ...] = (4,),
    stride: tuple[int, ...] = (1,),
    offset: int = 0,
    hooks: bytes | None = None,
) -> bytes:
    """A tensor, by itself of the four values of the record `0`."""
    return call(
        "torch._utils",
        "_rebuild_tensor_v2",
        values if values is not None else storage(4),
        whole(offset),
        row(*map(whole, size)),
        row(*map(whole, stride)),
        b"\x89",
        hooks if hooks is not None else call("collections", "OrderedDict"),
    )


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


# --- archives -----------------------------------------------------------------------------------------


def archive(pickle: bytes, records: Mapping[str, bytes] | None = None, folder: str = "archive") -> bytes:
    """An archive as torch writes it, with this pickle, and four zeros as the record `0`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        contents = {"data.pkl": pickle, "byteorder": b"little", "data/0": bytes(16), "version": b"3\n"} | (
            records or {}
        )
        for record, content in contents.items():
            file.writestr(f"{folder}/{record}", content)
    return buffer.getvalue()


def state(*tensors: bytes, **records: bytes) -> bytes:
    """An archive with a state_dict of these tensors."""
    return archive(pickled(table({f"layer{i}.weight": t for i, t in enumerate(tensors)})), records)


MAGIC = pickled(whole(0x1950A86A20F9469CFC6C))


def legacy(body: bytes, keys: tuple[str, ...] = ("0",), values: bytes = struct.pack("<q", 4) + bytes(16)) -> bytes:
    """A file in torch's format before 1.6, with the pickle of this body."""
    listed = b"](" + b"".join(map(text, keys)) + b"e"
    system = table({"protocol_version": whole(1001)})
    return MAGIC + pickled(whole(1001)) + pickled(system) + pickled(body) + pickled(listed) + values


def legacy_storage(numel: int, view: bytes = b"N") -> bytes:
    return row(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), whole(numel), view) + b"Q"
