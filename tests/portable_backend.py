"""The portable bodies of the operations over NumPy, with no kernel of the CPU before them: what kernels shall find."""

from __future__ import annotations

import numpy as np

from autograd_core.backends.base import Backend


class Plain(Backend):
    name = "plain"
    xp = np
    array_type = np.ndarray


PORTABLE = Plain()
