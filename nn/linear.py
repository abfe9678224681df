"""Linear, Bilinear, Identity, Flatten, Unflatten."""

from __future__ import annotations

import math
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn import init
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter


class Identity(Module):
    """Returns its input; takes and ignores any arguments.

    >>> import autograd_core as ag
    >>> ag.nn.Identity(54, unused=True)(ag.ones(1))
    tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x W^T + b, over the last dimension of x.

    in_features, out_features: sizes of the last dimension of x (*, in) and y (*, out). weight (out, in) and bias (out)
    start uniform in +-1/sqrt(in). Raises `RuntimeError` that names both sizes when the input does not fit.

    >>> import autograd_core as ag
    >>> ag.nn.Linear(20, 30)(ag.zeros(128, 20)).shape
    ag.Size([128, 30])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: ag.dtype | None = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(ag.empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(ag.empty((out_features,), device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        own = self._parameters  # Two reads by attribute would cost a small layer a sixth of its time.
        try:
            return F.linear(input, own["weight"], own["bias"])  # type: ignore[arg-type]
        except KeyError:  # Parametrised, or computed by a hook.
            return F.linear(input, self.weight, self.bias)
        except RuntimeError:
            # Looked at only when the call has failed: a check beforehand would cost every step.
            if input.ndim and input.shape[-1] == self.in_features:
                raise
            raise RuntimeError(
                f"{self}: expected an input of shape (*, in_features={self.in_features}), got {tuple(input.shape)}. "
                "Flatten or transpose the input, or change in_features."
            ) from None

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """Joins the dimensions start_dim to end_dim (both included) into one.

    >>> import autograd_core as ag
    >>> ag.nn.Flatten()(ag.zeros(32, 1, 5, 5)).shape
    ag.Size([32, 25])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension `dim` into `unflattened_size`; one size may be -1.

    >>> import autograd_core as ag
    >>> ag.nn.Unflatten(1, (2, 5, 5))(ag.zeros(4, 50)).shape
    ag.Size([4, 2, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim must be an int, got {dim!r}; named dimensions are not supported")
        if not (isinstance(unflattened_size, tuple | list) and all(isinstance(n, int) for n in unflattened_size)):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of ints, got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Bilinear(Module):
    """y_k = x1^T A_k x2 + b_k, over the last dimensions of x1 and x2.

    in1_features, in2_features, out_features: last sizes of x1 (*, in1), x2 (*, in2) and y (*, out). weight A
    (out, in1, in2) and bias b (out) start uniform in +-1/sqrt(in1). Raises `ValueError` unless in1_features > 0,
    `RuntimeError` when the inputs do not fit.

    >>> import autograd_core as ag
    >>> ag.nn.Bilinear(20, 30, 40)(ag.zeros(128, 20), ag.zeros(128, 30)).shape
    ag.Size([128, 40])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(ag.empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(ag.empty((out_features,), device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
