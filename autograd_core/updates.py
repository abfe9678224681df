"""The optimisers' updates as operations on Tensors, which gradients pass through: the portable kernels' own bodies."""

from __future__ import annotations

from typing import Any

from autograd_core import dtypes
from autograd_core.backends.optimizers import OptimizerKernels
from autograd_core.ops.creation import ones_like, zeros_like
from autograd_core.ops.elementwise import where
from autograd_core.primitive import V
from autograd_core.tensor import Tensor

_F: Any = V


class _Functions:
    """What the kernels take from an array namespace, on Tensors."""

    sqrt = staticmethod(_F.sqrt)
    sign = staticmethod(_F.sign)
    absolute = staticmethod(_F.abs)
    minimum = staticmethod(_F.minimum)
    where = staticmethod(where)
    ones_like = staticmethod(ones_like)
    zeros_like = staticmethod(zeros_like)

    @staticmethod
    def maximum(x: Tensor, y: Any) -> Tensor:
        """Of a copy, since the kernels write the result back into `x`."""
        return _F.maximum(x.clone(), y)


class Updates(OptimizerKernels):
    """The optimisers' kernels on Tensors instead of arrays; options and step counts are 0-d Tensors."""

    xp = _Functions

    def _to(self, x: Tensor, dtype: Any) -> Tensor:
        converted: Any = x.to(dtypes.float64 if dtype == "float64" else dtype)
        return converted.clone() if converted is x else converted

    def _flush(self, x: Tensor) -> None:
        """Denormal numbers stay: here speed is not what matters."""


UPDATES: Any = Updates()
