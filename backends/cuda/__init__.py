"""The CUDA backend, on CuPy; and PyTorch's switches for it."""

from autograd_core.backends.cuda import matmul as matmul
