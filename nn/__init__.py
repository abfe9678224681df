"""Modules, functional forms, initialisation and utilities of neural networks, built only from primitives."""

if __name__ != "autograd_core.nn":
    raise ImportError(f"import autograd_core.nn, not {__name__}: under a second name each class exists twice")
