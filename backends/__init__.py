"""Arrays and kernels of one kind of device each: the only code that touches NumPy, Numba or CuPy."""

if __name__ != "autograd_core.backends":
    raise ImportError(f"import autograd_core.backends, not {__name__}: under a second name each class exists twice")
