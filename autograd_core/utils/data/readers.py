"""Readers: MNIST in its IDX format, scikit-learn's digits, and a stratified split."""

import gzip
import hashlib
import http.client
import math
import os
import secrets
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag
from autograd_core.utils.data.sampler import draw_device

# SHA-256 and size of each file's content, unpacked: the same whoever packed it, and however well.
_MNIST_FILES = {
    "train-images-idx3-ubyte": ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", 47040016),
    "train-labels-idx1-ubyte": ("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60008),
    "t10k-images-idx3-ubyte": ("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7840016),
    "t10k-labels-idx1-ubyte": ("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10008),
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def read_idx(path: str | os.PathLike[str]) -> "ag.Tensor":
    """Read one IDX file of unsigned bytes, gzipped (by the name's `.gz`) or raw, to a uint8 tensor of its shape.

    The format: two zero bytes, the type 0x08, the number of dimensions, each dimension as a big-endian 32-bit
    integer, then the values (LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998).
    Raises FileNotFoundError, or ValueError if the content is truncated, too long, or not in this format.

    >>> ag.utils.data.read_idx("data/t10k-labels-idx1-ubyte.gz").shape  # doctest: +SKIP
    Size([10000])
    """
    path = Path(path)
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except EOFError:
        raise ValueError(f"{path} is truncated: the gzip stream ends early; fetch the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not an intact gzip file ({error}); fetch it again") from None
    if len(raw) < 4:
        raise ValueError(f"{path} is truncated: {len(raw)} bytes, the IDX header alone has more")
    magic, n_dims = raw[:3], raw[3]
    if magic != b"\0\0\x08" or n_dims == 0:
        raise ValueError(
            f"{path} has the wrong magic number 0x{raw[:4].hex()}: expected 0x000008NN, an IDX file of unsigned bytes "
            "in NN dimensions"
        )
    start = 4 + 4 * n_dims
    if len(raw) < start:
        raise ValueError(f"{path} is truncated: {len(raw)} bytes, the header for {n_dims} dimensions has {start}")
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4))
    if len(raw) - start != math.prod(shape):
        problem = "is truncated" if len(raw) - start < math.prod(shape) else "is too long"
        raise ValueError(f"{path} {problem}: its header says {shape}, but {len(raw) - start} values follow")
    return ag.from_numpy(np.frombuffer(raw, np.uint8, offset=start).reshape(shape).copy())


def mnist(
    root: str | os.PathLike[str], train: bool = True, download: bool = False, mirrors: Sequence[str] = MNIST_MIRRORS
) -> "tuple[ag.Tensor, ag.Tensor]":
    """The MNIST digits: images, uint8 of shape (N, 28, 28) with 255 for ink, and labels, int64 of shape (N,).

    `root` is the folder with the IDX files, gzipped or not, under their original names; any data set laid out so can
    be read. N is 60,000 for `train`, else 10,000. With `download`, files not there are fetched from the first of
    `mirrors` that has them, and kept only if their content has the known SHA-256.

    Raises FileNotFoundError if the folder or a file is missing; ValueError if a file is truncated or no IDX file of
    the right dimensions, if there are not as many labels as images, or if a download has the wrong checksum;
    ConnectionError if no mirror could be reached.

    >>> images, labels = ag.utils.data.mnist("data", train=False)  # doctest: +SKIP
    >>> images.shape, labels.shape  # doctest: +SKIP
    (Size([10000, 28, 28]), Size([10000]))
    """
    folder = Path(root)
    prefix = "train" if train else "t10k"
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    if not folder.is_dir() and not download:
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(
            f"mnist: {folder} {problem}; pass the folder that holds {names[0]}[.gz], or download=True to fetch it there"
        )
    arrays = []
    for name, n_dims in zip(names, (3, 1), strict=True):
        candidates = [folder / name, folder / f"{name}.gz"]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            if not download:
                raise FileNotFoundError(
                    f"mnist: neither {name} nor {name}.gz is in {folder}; pass the folder that holds it, or "
                    "download=True to fetch it"
                )
            path = _download(name, folder, mirrors)
        array = read_idx(path)
        if array.ndim != n_dims:
            raise ValueError(f"mnist: {path} has shape {tuple(array.shape)}: expected {n_dims} dimensions")
        arrays.append(array)
    images, labels = arrays
    if len(images) != len(labels):
        raise ValueError(f"mnist: {folder} has {len(images)} images but {len(labels)} labels in {names}")
    return images, labels.to(ag.int64)


def _download(name: str, folder: Path, mirrors: Sequence[str]) -> Path:
    """Fetch one file into `folder`. It gets its name only when whole and verified."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.gz"
    partial = folder / f".{name}.gz.{secrets.token_hex(4)}.part"
    problems = []
    try:
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{name}.gz"
            try:
                with urllib.request.urlopen(url, timeout=30) as response, open(partial, "wb") as file:
                    while block := response.read(1 << 20):
                        file.write(block)
                    file.flush()
                    os.fsync(file.fileno())
            except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
                problems.append(f"{url}: {error}")
                continue
            _verify(partial, name, url)
            os.replace(partial, target)
            return target
    finally:
        partial.unlink(missing_ok=True)
    raise ConnectionError(f"mnist: could not download {name}.gz; {'; '.join(problems) or 'no mirror was given'}")


def _verify(path: Path, name: str, url: str) -> None:
    expected, size = _MNIST_FILES[name]
    try:
        with gzip.open(path) as file:
            content = file.read(size + 1)  # a bound: a small hostile file can unpack to a huge one
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"mnist: what came from {url} is no intact gzip file ({error}); it was not kept") from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"mnist: wrong checksum: the content of {url} has SHA-256 {found}, expected {expected}; it was not kept"
        )


def digits() -> "tuple[ag.Tensor, ag.Tensor]":
    """scikit-learn's 1,797 handwritten digits: images, uint8 (1797, 8, 8) with 16 for full ink, and int64 labels.

    They come with scikit-learn; nothing is downloaded. Raises ModuleNotFoundError if it is not installed.

    >>> images, labels = ag.utils.data.digits()  # doctest: +SKIP
    >>> images.shape, labels.shape  # doctest: +SKIP
    (Size([1797, 8, 8]), Size([1797]))
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ModuleNotFoundError(
            "digits: the data come with scikit-learn, which is not installed; pip install scikit-learn "
            "(or pip install 'autograd-core[examples]')"
        ) from error
    data: Any = load_digits()
    return ag.from_numpy(data.images.astype(np.uint8)), ag.from_numpy(data.target.astype(np.int64))


def stratified_split(
    labels: "ag.Tensor | Sequence[int]", fraction: float, generator: "ag.Generator | None" = None
) -> "tuple[ag.Tensor, ag.Tensor]":
    """Split the indices of `labels` at random so that each class gives up the same `fraction`, to within one sample.

    Returns two sorted int64 index tensors: those kept, and the round(fraction * N) held out. The classes whose exact
    shares have the largest remainders round up (Hamilton's method), so that the total is exact.
    The same `generator` state gives the same split, on every device.
    Raises ValueError unless 0 < fraction < 1, or if either part would be empty.

    >>> kept, held_out = ag.utils.data.stratified_split([0, 0, 0, 0, 1, 1, 1, 1], 0.25)
    >>> len(kept), len(held_out)
    (6, 2)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"stratified_split: fraction must be between 0 and 1 (both excluded), got {fraction}")
    values = labels.tolist() if isinstance(labels, ag.Tensor) else list(labels)
    members: dict[int, list[int]] = {}
    for index, label in enumerate(values):
        if not isinstance(label, int):
            raise ValueError(f"stratified_split: labels must be a 1-d sequence of class indices; entry {index} is not")
        members.setdefault(label, []).append(index)
    n_held_out = round(fraction * len(values))
    if n_held_out in (0, len(values)):
        raise ValueError(
            f"stratified_split: fraction {fraction} of {len(values)} samples leaves one of the two parts empty"
        )
    shares = {label: fraction * len(members[label]) for label in sorted(members)}
    counts = {label: math.floor(share) for label, share in shares.items()}
    by_remainder = sorted(shares, key=lambda label: counts[label] - shares[label])
    for label in by_remainder[: n_held_out - sum(counts.values())]:
        counts[label] += 1
    kept: list[int] = []
    held_out: list[int] = []
    for label, count in counts.items():
        order = ag.randperm(len(members[label]), generator=generator, device=draw_device(generator)).tolist()
        held_out += [members[label][place] for place in order[:count]]
        kept += [members[label][place] for place in order[count:]]
    return ag.tensor(sorted(kept), dtype=ag.int64), ag.tensor(sorted(held_out), dtype=ag.int64)
