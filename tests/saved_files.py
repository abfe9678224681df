"""What the tests of saved files share: their path, when values are the same, and files changed by hand."""

import json
import math
import zlib

import pytest

import autograd_core as ag


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def same(a, b):
    """Equal in type, structure, and every bit; only a NaN outside of tensors may lose its sign."""
    if type(a) is not type(b):
        return False
    if isinstance(a, ag.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and a.requires_grad == b.requires_grad
            and a.detach().cpu().numpy().tobytes() == b.detach().cpu().numpy().tobytes()
        )
    if isinstance(a, dict):
        return [*a] == [*b] and all(type(k) is type(m) and same(a[k], b[m]) for k, m in zip(a, b, strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return math.isnan(a) and math.isnan(b) or a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


def header_of(path):
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def write_raw(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def forge(path, change):
    """Change the structure in a file, and make its checksum right again."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = header_of(path)
    text = change(header["__metadata__"]["autograd_core.v1"])
    header["__metadata__"]["autograd_core.v1"] = text
    header["__metadata__"]["autograd_core.crc32"] = f"{zlib.crc32(text.encode()):08x}"
    write_raw(path, header, raw[start:])
