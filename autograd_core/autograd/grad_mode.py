"""The modes of recording, under the name of PyTorch's module."""

from autograd_core.modes import enable_grad as enable_grad
from autograd_core.modes import inference_mode as inference_mode
from autograd_core.modes import no_grad as no_grad
from autograd_core.modes import set_grad_enabled as set_grad_enabled
