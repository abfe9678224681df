"""Saving and loading: nested Python data with tensors in one safetensors file, written atomically. No pickle.

A file is `tensors + structure`. The tensors stand in it as in any safetensors file, so that other tools can read
them; the structure is JSON in the file's metadata, and refers to the tensors by name. Checksums cover both.
"""

import io
import json
import math
import os
import tempfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import autograd_core as ag
from autograd_core._atomic import write_atomically
from autograd_core.tensor import wrap

__all__ = ["CheckpointError", "load", "save"]

_FORMAT = "autograd_core.v"
_STRUCTURE = f"{_FORMAT}1"
_CHECKSUM = "autograd_core.crc32"

# safetensors' name of each type, and the NumPy type of its bytes: little-endian.
_TYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_CODES = {np.dtype(native): code for code, native in _TYPES.items()}
_MAX_HEADER = 100_000_000  # readers refuse more
_MAX_DEPTH = 200  # of nesting, so that reading never runs out of stack

_Place = tuple[str | int, ...]


class CheckpointError(RuntimeError):
    """A file that cannot be loaded: damaged, cut short, of another kind, or of a version not known here."""


def save(obj: Any, f: "str | os.PathLike[str] | BinaryIO") -> None:
    """Save `obj` to `f`, a path or a binary file object.

    `obj`: tensors, and dicts (keys str or int), lists, tuples, numbers, str, None of them.

    Tensors keep dtype, values, `requires_grad`, device and memory order, but no graph and no `.grad`; a Parameter
    comes back as a Tensor. The same tensor in two places, or tensors that share memory, are stored once and share
    memory again after `load`. NumPy numbers become Python numbers, OrderedDict and Size become dict and tuple.

    A path is complete or not there: it is written beside `f`, flushed to disk and renamed, so that a failure or
    a power cut leaves the old file as it was. To a file object (`io.BytesIO`) the bytes are written where it stands.

    Raises TypeError naming the place of a value that cannot be saved, ValueError for an object that contains itself,
    OSError if the disk refuses.

    >>> import io
    >>> file = io.BytesIO()  # Or a path, such as "model.safetensors".
    >>> ag.save({"weight": ag.ones(2), "step": 3}, file)
    >>> _ = file.seek(0); ag.load(file)
    {'weight': tensor([1., 1.]), 'step': 3}
    """
    _check_file("save", f, "write")
    packer = _Packer()
    packed = packer.pack(obj, ())
    blobs, entries = _lay_out(packer.tensors)
    structure = json.dumps({"obj": packed, "tensors": entries, "crc32": {blob.name: blob.checksum for blob in blobs}})
    header: dict[str, Any] = {
        "__metadata__": {_STRUCTURE: structure, _CHECKSUM: f"{zlib.crc32(structure.encode()):08x}"}
    }
    # Widest types first, so that all data are aligned.
    blobs.sort(key=lambda blob: -blob.array.itemsize)
    end = 0
    for blob in blobs:
        start, end = end, end + blob.array.nbytes
        header[blob.name] = {
            "dtype": _CODES[blob.array.dtype],
            "shape": list(blob.array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise ValueError(
            f"ag.save: apart from its tensors the object takes {len(text)} bytes of text, more than {_MAX_HEADER}; "
            "put long lists of numbers into tensors"
        )
    parts: list[Any] = [len(text).to_bytes(8, "little"), text, *(blob.bytes() for blob in blobs)]
    if isinstance(f, str | os.PathLike):
        write_atomically(f, parts)
    else:
        for part in parts:
            f.write(part)


def _check_file(name: str, f: Any, method: str) -> None:
    if isinstance(f, io.TextIOBase):
        raise TypeError(f"ag.{name}: the file object must be opened in binary mode, got a {type(f).__name__}")
    if not isinstance(f, str | os.PathLike) and not hasattr(f, method):
        raise TypeError(f"ag.{name}: f must be a path or a binary file object, got a {type(f).__name__}")


def load(f: "str | os.PathLike[str] | BinaryIO", map_location: Any = None, *, weights_only: bool | None = None) -> Any:
    """Load what `save` stored in `f`, a path or a binary file object, which is read to its end.

    A safetensors file of other origin gives a flat dict of its tensors.

    Tensors return to the device they were saved from, or to `map_location`: a device, or a dict from saved device to
    device, such as {"cuda:0": "cpu"}. `weights_only` means nothing here: no file can make `load` run code.

    bfloat16 tensors of other programs become float32, value for value.

    Raises FileNotFoundError; CheckpointError (a RuntimeError) for a file that is damaged, no safetensors file or of a
    dtype not supported; RuntimeError if a saved device is not there.

    >>> import io
    >>> file = io.BytesIO(); ag.save({"weight": ag.ones(2), "step": 3}, file)
    >>> _ = file.seek(0); ag.load(file, map_location="cpu")
    {'weight': tensor([1., 1.]), 'step': 3}
    """
    _check_file("load", f, "read")
    if map_location is not None and not isinstance(map_location, str | dict | ag.device):
        hint = '; for PyTorch\'s "lambda storage, location: storage" give "cpu"' if callable(map_location) else ""
        raise TypeError(f"ag.load: map_location must be a device or a dict of devices, got {map_location!r}{hint}")
    if isinstance(f, str | os.PathLike):
        source = str(Path(f))
        metadata, arrays = _read(Path(f), source)
    else:
        name = getattr(f, "name", None)
        source = name if isinstance(name, str) else type(f).__name__  # A file without a path has a number as name.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "copy")
            copy.write_bytes(f.read())
            metadata, arrays = _read(copy, source)
    structure = _structure(source, metadata)
    try:
        if structure is None:
            target = _target("cpu", map_location)
            return {name: _to(source, ag.from_numpy(array), target) for name, array in arrays.items()}
        return _Unpacker(source, structure, arrays, map_location).unpack(structure["obj"])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{source}: its structure makes no sense ({type(error).__name__}: {error})") from error


def _show(path: _Place) -> str:
    return "obj" + "".join(f"[{key!r}]" for key in path)


class _Packer:
    """Turns an object into JSON, and collects its tensors on the way."""

    def __init__(self) -> None:
        self.tensors: list[tuple[ag.Tensor, _Place]] = []
        self._index: dict[int, int] = {}
        self._open: set[int] = set()

    def pack(self, value: Any, path: _Place) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, ag.Tensor):
            if id(value) not in self._index:
                self._index[id(value)] = len(self.tensors)
                self.tensors.append((value, path))
            return {"tensor": self._index[id(value)]}
        if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
            return self.pack(value.item(), path)
        if kind not in (list, tuple, dict, OrderedDict, ag.Size):
            raise TypeError(f"ag.save: {_show(path)} is a {kind.__module__}.{kind.__qualname__}, {_hint(value)}")
        if id(value) in self._open:
            raise ValueError(f"ag.save: {_show(path)} contains itself")
        if len(path) >= _MAX_DEPTH:
            raise ValueError(f"ag.save: the object is nested more than {_MAX_DEPTH} deep at {_show(path)}")
        self._open.add(id(value))
        packed: Any
        if isinstance(value, dict):
            packed = {"dict": [[self._key(key, path), self.pack(item, (*path, key))] for key, item in value.items()]}
        else:
            packed = [self.pack(item, (*path, index)) for index, item in enumerate(value)]
            packed = packed if kind is list else {"tuple": packed}
        self._open.remove(id(value))
        return packed

    @staticmethod
    def _key(key: Any, path: _Place) -> Any:
        if type(key) not in (str, int):
            raise TypeError(f"ag.save: {_show(path)} has the key {key!r} of type {type(key).__name__}; use str or int")
        return key


def _hint(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "which is not saved; convert it by ag.from_numpy"
    if hasattr(value, "state_dict"):
        return "which is not saved; save its state_dict()"
    if hasattr(value, "get_state"):
        return "which is not saved; save its get_state()"
    return "which is not saved; expected tensors, dicts, lists, tuples, numbers, str, bool or None"


@dataclass
class _Blob:
    """One tensor of the file: contiguous, little-endian."""

    name: str
    array: np.ndarray[Any, Any]

    def bytes(self) -> memoryview:
        return self.array.reshape(-1).view(np.uint8).data

    @property
    def checksum(self) -> int:
        return _checksum(_CODES[self.array.dtype], self.array)


def _checksum(code: str, array: np.ndarray[Any, Any]) -> int:
    """Of type, shape and values."""
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, zlib.crc32(f"{code} {array.shape}".encode()))


def _host_array(tensor: "ag.Tensor", path: _Place) -> np.ndarray[Any, Any]:
    array: np.ndarray[Any, Any] = tensor.detach().cpu().numpy()
    little_endian = array.dtype.newbyteorder("<")
    if little_endian not in _CODES:
        raise TypeError(f"ag.save: {_show(path)} has dtype {tensor.dtype}, which is not supported in files yet")
    return np.ascontiguousarray(array, little_endian).reshape(array.shape)


def _address(tensor: "ag.Tensor") -> int:
    return int(tensor._backend.address(tensor._data))


def _span(tensor: "ag.Tensor") -> tuple[int, int]:
    """First and last address (excluded) of the memory that `tensor` spans."""
    start = _address(tensor)
    if tensor.numel() == 0:
        return start, start
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (reach + 1) * tensor.element_size()


def _shared(tensors: list[tuple["ag.Tensor", _Place]]) -> list[list[int]]:
    """Indices of the tensors, in groups whose memory overlaps."""
    spans = {index: (str(tensor.device), *_span(tensor)) for index, (tensor, _) in enumerate(tensors)}
    groups: list[list[int]] = []
    reached: tuple[str, int] = ("", 0)
    for index in sorted(spans, key=lambda index: spans[index]):
        device, start, end = spans[index]
        if groups and device == reached[0] and start < reached[1] and end > start:
            groups[-1].append(index)
            reached = (device, max(end, reached[1]))
        else:
            groups.append([index])
            reached = (device, end)
    return sorted((sorted(group) for group in groups), key=lambda group: group[0])


def _lay_out(tensors: list[tuple["ag.Tensor", _Place]]) -> tuple[list[_Blob], list[dict[str, Any]]]:
    """What to store, and for each tensor where to find it: a whole blob, or a strided view of one."""
    entries: list[dict[str, Any]] = [
        {"device": str(tensor.device), "requires_grad": bool(tensor.requires_grad)} for tensor, _ in tensors
    ]
    blobs: list[_Blob] = []
    names: set[str] = {"__metadata__"}
    for group in _shared(tensors):
        members = [tensors[index] for index in group]
        if len({(_address(tensor), tensor.dtype, tensor.shape, tensor.stride()) for tensor, _ in members}) == 1:
            tensor, path = members[0]
            blob = _Blob(_unique(path, names), _host_array(tensor, path))
            if not tensor.is_contiguous() and _is_dense(tensor):
                for index in group:
                    entries[index]["stride"] = list(tensor.stride())
        else:
            blob = _joint_blob(members, names)
            start = min(_address(tensor) for tensor, _ in members)
            for index, (tensor, _) in zip(group, members, strict=True):
                entries[index]["view"] = {
                    "shape": list(tensor.shape),
                    "stride": list(tensor.stride()),
                    "offset": (_address(tensor) - start) // tensor.element_size(),
                }
        blobs.append(blob)
        for index in group:
            entries[index]["data"] = blob.name
    return blobs, entries


def _joint_blob(members: list[tuple["ag.Tensor", _Place]], names: set[str]) -> _Blob:
    """The memory that several overlapping tensors span together; what none of them shows is zero."""
    tensor, path = members[0]
    for other, other_path in members[1:]:
        if other.dtype != tensor.dtype:
            raise ValueError(
                f"ag.save: {_show(path)} and {_show(other_path)} share memory as {tensor.dtype} and {other.dtype}; "
                "save a clone() of one of them"
            )
    spans = [_span(member) for member, _ in members]
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    size = tensor.element_size()
    shape: tuple[int, ...] = ((end - start) // size,)
    # Where one of them is the whole, it lends its shape and name, for other readers of the file.
    for (member, member_path), span in zip(members, spans, strict=True):
        if span == (start, end) and member.is_contiguous():
            shape, path = tuple(member.shape), member_path
            break
    flat = np.zeros((end - start) // size, _host_array(tensor, path).dtype)
    for member, member_path in members:
        strides = [stride * size for stride in member.stride()]
        place = flat[(_address(member) - start) // size :]
        np.lib.stride_tricks.as_strided(place, tuple(member.shape), strides)[...] = _host_array(member, member_path)
    return _Blob(_unique(path, names), flat.reshape(shape))


def _unique(path: _Place, names: set[str]) -> str:
    # Lone surrogates are legal in a Python string, not in the file's UTF-8.
    wanted = ".".join(map(str, path)).encode("utf-8", "backslashreplace").decode() or "tensor"
    name, count = wanted, 1
    while name in names:
        count += 1
        name = f"{wanted}#{count}"
    names.add(name)
    return name


def _is_dense(tensor: "ag.Tensor") -> bool:
    """Whether the elements fill their memory without gaps or repeats, in whatever order of dimensions."""
    start, end = _span(tensor)
    if end - start != tensor.numel() * tensor.element_size():
        return False
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def _read(path: Path, source: str) -> tuple[dict[str, str], dict[str, np.ndarray[Any, Any]]]:
    """Metadata and tensors of any safetensors file, which errors call `source`."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"ag.load: {path} does not exist")
    if not path.is_file():
        raise IsADirectoryError(f"ag.load: {path} is not a file")
    arrays = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            for name in file.keys():  # noqa: SIM118 (no mapping)
                code = file.get_slice(name).get_dtype()
                if code == "BF16":
                    arrays[name] = _read_bfloat16(path, name)
                    continue
                if code not in _TYPES:
                    raise CheckpointError(
                        f"{source}: tensor {name!r} has dtype {code}, which is not supported; "
                        "convert it to float32 where the file was made"
                    )
                arrays[name] = file.get_tensor(name)
    except SafetensorError as error:
        raise CheckpointError(f"{source} cannot be loaded: {_diagnosis(path)} ({error})") from None
    return metadata, arrays


def _read_bfloat16(path: Path, name: str) -> np.ndarray[Any, Any]:
    """A bfloat16 tensor as float32, of which it is the upper half: the values are the same."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        bits = np.frombuffer(file.read(end - start), "<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _diagnosis(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head:
        return "the file is empty"
    if head.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            "it is a zip archive or pickle, as torch.save writes; pickles can run code and are not read. "
            "Convert it where PyTorch is, by safetensors.torch.save_file"
        )
    length = int.from_bytes(head[:8], "little")
    if len(head) < 9 or head[8:9] == b"{" and 8 + length > path.stat().st_size:
        return "it is cut short: its header is incomplete"
    if head[8:9] == b"{" and length <= _MAX_HEADER:
        return "it is cut short or damaged"
    return "it is not a safetensors file, or its beginning is damaged"


def _structure(source: str, metadata: dict[str, str]) -> Any:
    """The structure that `save` wrote, or None where the file is of other origin."""
    versions = [key for key in metadata if key.startswith(_FORMAT)]
    if not versions and _CHECKSUM not in metadata:
        return None
    if _STRUCTURE not in metadata:
        raise CheckpointError(
            f"{source} has format {versions or 'unknown'}, this version reads {_STRUCTURE}; upgrade autograd-core"
        )
    text = metadata[_STRUCTURE]
    if metadata.get(_CHECKSUM) != f"{zlib.crc32(text.encode()):08x}":
        raise CheckpointError(f"{source} is damaged: the checksum of its structure is wrong")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{source}: its structure is no JSON ({error})") from None


def _target(saved: str, map_location: Any) -> Any:
    if isinstance(map_location, dict):
        return map_location.get(saved, saved)
    return saved if map_location is None else map_location


def _to(source: str, tensor: "ag.Tensor", device: Any) -> "ag.Tensor":
    if str(device) == str(tensor.device):
        return tensor
    try:
        return tensor.to(device)
    except Exception as error:
        raise RuntimeError(
            f"ag.load: cannot put the tensors of {source} on device {device} ({error}); "
            'pass map_location="cpu" or another device'
        ) from error


class _Unpacker:
    """Rebuilds the object from JSON and the file's tensors."""

    def __init__(self, source: str, structure: Any, arrays: dict[str, np.ndarray[Any, Any]], map_location: Any) -> None:
        for name, expected in structure["crc32"].items():
            array = arrays.get(name)
            if array is None or _checksum(_CODES[array.dtype.newbyteorder("<")], array) != expected:
                raise CheckpointError(f"{source} is damaged: tensor {name!r} is missing or its checksum is wrong")
        bases: dict[str, ag.Tensor] = {}
        self._tensors: list[ag.Tensor] = []
        for entry in structure["tensors"]:
            name = entry["data"]
            if name not in bases:
                array = arrays[name]
                if "stride" in entry:
                    array = _with_strides(array, entry["stride"])
                bases[name] = _to(source, ag.from_numpy(array), _target(entry["device"], map_location))
            tensor = bases[name]
            if view := entry.get("view"):
                tensor = _view(tensor, tuple(view["shape"]), tuple(view["stride"]), view["offset"])
            else:
                tensor = tensor.detach()
            self._tensors.append(tensor.requires_grad_() if entry["requires_grad"] else tensor)

    def unpack(self, packed: Any) -> Any:
        if isinstance(packed, list):
            return [self.unpack(item) for item in packed]
        if not isinstance(packed, dict):
            return packed
        ((tag, value),) = packed.items()
        if tag == "dict":
            return {key: self.unpack(item) for key, item in value}
        if tag == "tuple":
            return tuple(self.unpack(item) for item in value)
        if tag == "tensor":
            return self._tensors[value]
        if tag == "float":
            return float(value)
        raise ValueError(f"unknown tag {tag!r}")


def _view(tensor: "ag.Tensor", shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> "ag.Tensor":
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or offset + reach >= tensor.numel():
        raise ValueError(f"a view of {shape} with strides {strides} from {offset} leaves its {tensor.numel()} elements")
    return wrap(tensor._backend.as_strided(tensor._data, shape, strides, offset), tensor._backend)


def _with_strides(array: np.ndarray[Any, Any], strides: list[int]) -> np.ndarray[Any, Any]:
    """`array` in the order of memory that dense `strides` describe: products round by it, so a resumed run must too."""
    order = sorted(range(array.ndim), key=lambda dim: -strides[dim])
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
