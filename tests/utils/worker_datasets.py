"""Datasets and functions that worker processes import; nothing else, so that a spawned worker starts quickly."""

import os
import random
import signal
import time
from collections import namedtuple

import numpy as np

import autograd_core as ag
from autograd_core.utils.data import Dataset, IterableDataset, get_worker_info

Pair = namedtuple("Pair", "x y")


class Mixed(Dataset):
    """Samples of every kind that a batch can hold."""

    def __init__(self, n=23):
        self.n = n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        image = ag.arange(6, dtype=ag.float32, device="cpu").reshape(2, 3) * index
        return {
            "image": image,
            "view": image[:, 1],
            "default": ag.tensor([index / 2]),
            "array": np.full(2, index, np.int16),
            "pair": Pair(index, [float(index), str(index)]),
        }

    def __len__(self):
        return self.n


class Drawing(Dataset):
    """A random augmentation: what is drawn depends on the state of the generators."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return index, ag.rand(1)

    def __repr__(self):
        return type(self).__name__


class Draws(Drawing):
    def __getitem__(self, index):
        info = get_worker_info()
        seeds = (info.id, info.num_workers, info.seed, ag.initial_seed())
        return seeds, random.random(), float(np.random.rand()), ag.rand(()).item(), info.dataset is self


class Share(IterableDataset):
    """0 to n - 1, each worker every so-many-th."""

    def __init__(self, n=20):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for index in range(first, self.n, step):
            yield index, ag.rand(())


class Unequal(IterableDataset):
    """Worker i gives i + 1 samples."""

    def __iter__(self):
        return iter([get_worker_info().id] * (1 + get_worker_info().id))


class Pids(Dataset):
    def __init__(self, n=40, seconds=0.0):
        self.n, self.seconds = n, seconds

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return index, os.getpid()


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class Failing(Dataset):
    """What goes wrong at index 5."""

    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 5:
            return getattr(self, self.how)()
        return index

    def key(self):
        return {"a": 1}["no such key"]

    def value(self):
        raise ValueError("bad value")

    def odd(self):
        raise Odd("one", "two")

    def local(self):
        class Local(Exception):
            pass

        raise Local("nobody knows me")

    def unpicklable(self):
        return lambda: 0

    def exit(self):
        os._exit(3)

    def kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def sleep(self):
        time.sleep(60)


class Heavy(Dataset):
    """Operations that run in parallel kernels and BLAS."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return heavy(index)


def heavy(index):
    x = ag.arange(300 * 300, dtype=ag.float32, device="cpu").reshape(300, 300) / 9e4 + index
    x.requires_grad_()
    loss = (ag.nn.functional.gelu(x @ x.t() / 300).softmax(1) * x.tanh()).sum()
    loss.backward()
    return x.grad.sum(1), loss.item()


def as_list(samples):
    return list(samples)


def fail_at_two(samples):
    numbers = [number for number, _ in samples]
    if 2 in numbers:
        raise ValueError("two")
    return ag.tensor(numbers)


def seed_everything_alike(worker):
    ag.manual_seed(12345)
    np.random.seed(1)
    random.seed(1)


def fail_to_start(worker):
    raise RuntimeError(f"worker {worker} cannot start")


def outputs(model, x):
    """What a process that got a module by pickle computes."""
    return model(x).tolist(), [p.requires_grad for p in model.parameters()], os.getpid()
