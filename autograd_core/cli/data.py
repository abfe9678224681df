"""The two data sets of `autograd-core train`, as tensors ready for the network."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import autograd_core as ag
from autograd_core.cli.errors import UserError
from autograd_core.utils.data import readers


@dataclass(frozen=True)
class Data:
    """Images are float32 (N, 1, size, size) in [0, 1], labels int64 (N,); `checksum` tells data sets apart."""

    train_images: ag.Tensor
    train_labels: ag.Tensor
    test_images: ag.Tensor
    test_labels: ag.Tensor
    test_name: str
    checksum: int

    @property
    def size(self) -> int:
        return int(self.train_images.shape[-1])


def load(task: str, folder: str | None, download: bool, limit: int | None, seed: int) -> Data:
    """Read the data of `task`; `limit` keeps that many training images. Raises UserError saying what to do."""
    try:
        if task == "digits":
            images, labels = readers.digits()
            split = readers.stratified_split(labels, 0.2, ag.Generator().manual_seed(seed))
            kept, held_out = (indices.to(labels.device) for indices in split)
            return _data((images[kept], labels[kept]), (images[held_out], labels[held_out]), 16, "held-out", limit)
        folder = folder or "data/mnist"
        train = readers.mnist(folder, train=True, download=download)
        test = readers.mnist(folder, train=False, download=download)
        return _data(train, test, 255, "test", limit)
    except FileNotFoundError as error:
        raise UserError(f"{error} (here: --data FOLDER, or --download)") from None
    except (ValueError, OSError, ImportError) as error:
        raise UserError(str(error)) from None


def _data(
    train: tuple[ag.Tensor, ag.Tensor], test: tuple[ag.Tensor, ag.Tensor], full_ink: int, name: str, limit: int | None
) -> Data:
    train = (train[0][:limit], train[1][:limit])
    checksum = 0
    for part, (images, labels) in (("training", train), ("test", test)):
        if not len(images):
            raise UserError(f"there are no {part} images in the data")
        if images.shape[1] != images.shape[2] or images.shape[1] < 4 or images.shape[1:] != train[0].shape[1:]:
            raise UserError(
                f"the {part} images have {tuple(images.shape[1:])} pixels: expected squares, all of one size"
            )
        if int(labels.max()) > 9:
            raise UserError(f"the {part} labels reach {int(labels.max())}: expected the digits 0 to 9")
        for tensor in (images, labels):
            checksum = zlib.crc32(tensor.cpu().contiguous().numpy().data, checksum)
    images, held_out = (part[0].float().unsqueeze(1) / full_ink for part in (train, test))
    return Data(images, train[1], held_out, test[1], name, checksum)
