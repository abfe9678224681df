"""The MNIST and digits readers, what they say about bad files, and the stratified split."""

import functools
import gzip
import hashlib
import http.server
import os
import sys
import threading
from pathlib import Path

import pytest

import autograd_core as ag
from autograd_core.utils.data import digits, mnist, read_idx, readers, stratified_split

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(shape, values):
    return b"\0\0\x08" + bytes([len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(values)


TINY = {IMAGES: idx((3, 2, 2), range(12)), LABELS: idx((3,), [7, 0, 9])}


@pytest.fixture
def folder(tmp_path):
    for name, content in TINY.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files(packed, tmp_path):
    for name, content in TINY.items():
        if packed:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    images, labels = mnist(tmp_path, train=False)
    assert images.dtype == ag.uint8 and labels.dtype == ag.int64
    assert images.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]
    assert labels.tolist() == [7, 0, 9]
    images[0] = 1  # memory of its own


def test_train_and_test_have_their_own_files(folder):
    for name, content in TINY.items():
        (folder / name.replace("t10k", "train")).write_bytes(content[:-1] + b"\x05")
    assert mnist(folder)[1].tolist() == [7, 0, 5]
    assert mnist(str(folder), train=False)[1].tolist() == [7, 0, 9]


DAMAGED = [
    (LABELS, b"", "is truncated: 0 bytes"),
    (LABELS, TINY[LABELS][:6], "is truncated: 6 bytes, the header for 1 dimensions has 8"),
    (LABELS, TINY[LABELS][:-1], r"is truncated: its header says \(3,\), but 2 values follow"),
    (IMAGES, TINY[IMAGES][:-5], r"is truncated: its header says \(3, 2, 2\), but 7 values follow"),
    (LABELS, TINY[LABELS] + b"\0", "is too long"),
    (LABELS, b"\0\0\x0d\x01" + TINY[LABELS][4:], "wrong magic number 0x00000d01"),
    (LABELS, b"<html>not found</html>", "wrong magic number 0x3c68746d"),
    (LABELS, gzip.compress(TINY[LABELS]), "wrong magic number 0x1f8b"),
    (LABELS, TINY[IMAGES], r"has shape \(3, 2, 2\): expected 1 dim"),
    (IMAGES, TINY[LABELS], r"has shape \(3,\): expected 3 dim"),
    (LABELS, idx((2,), [7, 0]), "3 images but 2 labels"),
    (IMAGES, idx((0, 2, 2), []), "0 images but 3 labels"),
    (f"{LABELS}.gz", gzip.compress(TINY[LABELS])[:-12], "truncated: the gzip stream ends early"),
    (f"{LABELS}.gz", TINY[LABELS], "not an intact gzip file"),
    (f"{LABELS}.gz", gzip.compress(TINY[LABELS])[:-8] + bytes(8), "not an intact gzip file"),
    (f"{LABELS}.gz", gzip.compress(TINY[LABELS])[:10] + b"\xff" * 30, "not an intact gzip file"),
]


@pytest.mark.parametrize(("name", "content", "message"), DAMAGED, ids=[f"{case[0][5:9]} {case[2]}" for case in DAMAGED])
def test_damaged_files(name, content, message, folder):
    if name.endswith(".gz"):
        (folder / name[:-3]).unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        mnist(folder, train=False)
    assert str(folder) in str(caught.value)


def test_missing_files(folder):
    with pytest.raises(FileNotFoundError, match=f"neither {IMAGES.replace('t10k', 'train')} nor .*download=True"):
        mnist(folder)
    with pytest.raises(FileNotFoundError, match="no_such does not exist; pass the folder.*download=True"):
        mnist(folder / "no_such")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        mnist(folder / LABELS)
    with pytest.raises(FileNotFoundError):
        read_idx(folder / "none")


# ---- download


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A mirror with the tiny files, and their checksums in place of MNIST's; gives (its folder, its address)."""
    served = tmp_path / "served"
    served.mkdir()
    for name, content in TINY.items():
        (served / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(
        readers,
        "_MNIST_FILES",
        {name: (hashlib.sha256(content).hexdigest(), len(content)) for name, content in TINY.items()},
    )

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield served, f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_download_fetches_checks_and_keeps(server, tmp_path):
    served, address = server
    target = tmp_path / "deep" / "data"
    dead = "http://127.0.0.1:9/"
    images, labels = mnist(target, train=False, download=True, mirrors=[dead, address])
    assert images.shape == (3, 2, 2) and labels.tolist() == [7, 0, 9]
    assert sorted(os.listdir(target)) == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    for file in served.iterdir():
        file.unlink()
    assert mnist(target, train=False, download=True, mirrors=[address])[1].tolist() == [7, 0, 9]  # nothing is fetched


BAD_DOWNLOADS = [
    (gzip.compress(idx((3,), [7, 0, 8])), "wrong checksum: the content of http.*expected .*not kept"),
    (gzip.compress(TINY[LABELS] + bytes(10**7)), "wrong checksum"),
    (gzip.compress(TINY[LABELS])[:-12], "no intact gzip file.*not kept"),
    (b"<html>", "no intact gzip file"),
    (b"", "wrong checksum|no intact gzip file"),
]


@pytest.mark.parametrize(("content", "message"), BAD_DOWNLOADS)
def test_a_bad_download_is_not_kept(content, message, server, tmp_path):
    served, address = server
    (served / f"{LABELS}.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist(tmp_path / "data", train=False, download=True, mirrors=[address])
    assert os.listdir(tmp_path / "data") == [f"{IMAGES}.gz"]


def test_no_mirror_that_answers(server, tmp_path):
    served, address = server
    (served / f"{LABELS}.gz").unlink()
    with pytest.raises(ConnectionError, match=f"could not download {LABELS}.gz; {address}.*404"):
        mnist(tmp_path / "data", train=False, download=True, mirrors=[address])
    assert os.listdir(tmp_path / "data") == [f"{IMAGES}.gz"]


# ---- the real data


def _mnist_folder():
    places = [os.environ.get("AUTOGRAD_CORE_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"]
    for place in filter(None, places):
        for folder in (Path(place), Path(place) / "mnist"):
            if (folder / f"{IMAGES}.gz").is_file() or (folder / IMAGES).is_file():
                return folder
    return None


@pytest.mark.parametrize(("train", "n", "zeros"), [(True, 60_000, 5923), (False, 10_000, 980)])
def test_mnist_itself(train, n, zeros):
    folder = _mnist_folder()
    if folder is None:
        pytest.skip("no MNIST files; set AUTOGRAD_CORE_DATA to the folder that holds them")
    images, labels = mnist(folder, train=train)
    assert images.shape == (n, 28, 28) and labels.shape == (n,)
    assert (labels == 0).sum().item() == zeros
    assert labels[:4].tolist() == ([5, 0, 4, 1] if train else [7, 2, 1, 0])
    header = idx(tuple(images.shape), b"")
    prefix = "train" if train else "t10k"
    checksum, size = readers._MNIST_FILES[f"{prefix}-images-idx3-ubyte"]
    content = header + images.numpy().tobytes()
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (checksum, size)
    checksum, size = readers._MNIST_FILES[f"{prefix}-labels-idx1-ubyte"]
    content = idx((n,), labels.to(ag.uint8).numpy().tobytes())
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (checksum, size)


def test_digits():
    sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn")
    images, labels = digits()
    assert images.shape == (1797, 8, 8) and images.dtype == ag.uint8 and images.max().item() == 16
    assert labels.dtype == ag.int64
    data = sklearn_datasets.load_digits()
    assert images.tolist() == data.images.tolist() and labels.tolist() == data.target.tolist()


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        digits()


# ---- stratified split


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1 / 3, 0.01])
def test_each_class_gives_its_share(fraction):
    labels = ag.tensor([(i * i) % 7 for i in range(500)])  # classes 0, 1, 2, 4 of unequal sizes
    kept, held_out = stratified_split(labels, fraction, ag.Generator().manual_seed(1))
    assert sorted(kept.tolist() + held_out.tolist()) == list(range(500))
    assert kept.tolist() == sorted(kept.tolist()) and held_out.tolist() == sorted(held_out.tolist())
    assert len(held_out) == round(500 * fraction)
    for label in (0, 1, 2, 4):
        share = (labels[held_out] == label).sum().item()
        assert abs(share - fraction * (labels == label).sum().item()) < 1


def test_the_split_is_random_and_decided_by_the_generator():
    labels = [i % 3 for i in range(90)]

    def split(seed):
        return stratified_split(labels, 0.2, ag.Generator().manual_seed(seed))[1].tolist()

    assert split(1) == split(1) != split(2)
    ag.manual_seed(4)
    first = stratified_split(labels, 0.2)[1].tolist()
    ag.manual_seed(4)
    assert stratified_split(labels, 0.2)[1].tolist() == first


def test_every_sample_can_be_held_out():
    drawn = set()
    for seed in range(60):
        drawn.update(stratified_split([0] * 5 + [1] * 5, 0.2, ag.Generator().manual_seed(seed))[1].tolist())
    assert drawn == set(range(10))


@pytest.mark.parametrize(
    ("labels", "fraction", "message"),
    [
        ([0, 1], 0.0, "between 0 and 1"),
        ([0, 1], 1, "between 0 and 1"),
        ([0, 1], 0.1, "empty"),
        ([], 0.5, "empty"),
        ([0.5, 1.0], 0.5, "entry 0 is not"),
        ([[1], [2]], 0.5, "entry 0 is not"),
    ],
)
def test_splits_that_make_no_sense(labels, fraction, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(labels, fraction)
