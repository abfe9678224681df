"""Findings of the literature on why deep networks were hard to train, each to be run again: `autograd-core experiment`.

One file an experiment. Each has `TITLE`, and

- `run(settings)`: does the work, returns plain numbers, lists and dicts;
- `lines(result)`: what is printed of them;
- `draw(result, folder)`: draws them into `folder` with matplotlib and returns the paths of the pictures.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAMES = (
    "backprop-equations",
    "unstable-gradients",
    "initialisation",
    "activations",
    "optimizers",
    "universality",
    "parity",
    "mnist",
    "mnist-best",
    "learning-slowdown",
    "overfitting",
    "long-memory",
    "pretraining",
    "char-gpt",
    "char-rnn",
)
# The data sets that some need, each in a folder of this name below `--data`.
DATA = {
    **dict.fromkeys(
        ("unstable-gradients", "initialisation", "activations", "mnist", "mnist-best", "learning-slowdown",
         "overfitting", "pretraining"), "mnist"
    ),
    **dict.fromkeys(("char-gpt", "char-rnn"), "tinyshakespeare"),
}  # fmt: skip


def load(name: str) -> Any:
    """The module of the experiment `name`. Raises ValueError for an unknown one.

    >>> from autograd_core import experiments
    >>> experiments.load("backprop-equations").TITLE
    'The four equations of backpropagation, by hand and by the engine'
    """
    if name not in NAMES:
        raise ValueError(f"unknown experiment {name!r}: expected one of {', '.join(NAMES)}")
    return import_module(f"autograd_core.experiments.{name.replace('-', '_')}")
