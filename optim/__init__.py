"""Optimisers and learning-rate schedulers."""

if __name__ != "autograd_core.optim":
    raise ImportError(f"import autograd_core.optim, not {__name__}: under a second name each class exists twice")
