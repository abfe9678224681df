"""NumPy arrays, with Numba kernels where Numba is installed."""
