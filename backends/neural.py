"""The kernels of neural networks: all families in one mixin for `Backend`.

They follow the rules of `backends/base.py`. A kernel that computes in one pass what a composition of others could
has the same value as that composition; `autograd_core/ops` declares which primitive each one serves. float16 is
computed and accumulated in float32.
"""

from __future__ import annotations

from autograd_core.backends.neural_activation import ActivationKernels
from autograd_core.backends.neural_attention import AttentionKernels
from autograd_core.backends.neural_conv import ConvolutionKernels
from autograd_core.backends.neural_loss import LossKernels
from autograd_core.backends.neural_norm import NormalizationKernels
from autograd_core.backends.neural_pool import PoolingKernels
from autograd_core.backends.neural_recurrent import RecurrentKernels


class NeuralKernels(
    ConvolutionKernels, PoolingKernels, NormalizationKernels, ActivationKernels, LossKernels, RecurrentKernels,
    AttentionKernels,
):  # fmt: skip
    """Mixed into `Backend`."""
