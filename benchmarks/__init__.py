"""Workloads, and the command that compares devices and peers."""

if __name__ != "autograd_core.benchmarks":
    raise ImportError(f"import autograd_core.benchmarks, not {__name__}: under a second name each class exists twice")
