"""Optimisers and learning-rate schedulers."""

if __name__ != "autograd_core.optim":
    raise ImportError(f"import autograd_core.optim, not {__name__}: under a second name each class exists twice")

from typing import TYPE_CHECKING, Any

from autograd_core.optim import lr_scheduler as lr_scheduler
from autograd_core.optim.adadelta import Adadelta as Adadelta
from autograd_core.optim.adafactor import Adafactor as Adafactor
from autograd_core.optim.adagrad import Adagrad as Adagrad
from autograd_core.optim.adam import Adam as Adam
from autograd_core.optim.adamax import Adamax as Adamax
from autograd_core.optim.adamw import AdamW as AdamW
from autograd_core.optim.asgd import ASGD as ASGD
from autograd_core.optim.lbfgs import LBFGS as LBFGS
from autograd_core.optim.nadam import NAdam as NAdam
from autograd_core.optim.optimizer import Optimizer as Optimizer
from autograd_core.optim.radam import RAdam as RAdam
from autograd_core.optim.rmsprop import RMSprop as RMSprop
from autograd_core.optim.rprop import Rprop as Rprop
from autograd_core.optim.sgd import SGD as SGD

if TYPE_CHECKING:
    from autograd_core.optim import swa_utils as swa_utils


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # It alone needs nn, whose loading every other program would pay for.
        from importlib import import_module

        return import_module("autograd_core.optim.swa_utils")
    raise AttributeError(f"module 'autograd_core.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "swa_utils"})
