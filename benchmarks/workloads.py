"""The timed workloads by their names on the command line, with the ratios aimed at."""

from __future__ import annotations

from autograd_core.benchmarks import mlp, overhead
from autograd_core.benchmarks.harness import Workload

WORKLOADS = {
    "overhead": [
        Workload("chain of 200", overhead.chain, 201, "op", 0.5),
        Workload("mix of 200", overhead.mix, 200, "op", 0.5),
        *(
            Workload(f"{name} alone", overhead.alone(operation), overhead.LEAVES, "op", 0.5)
            for name, operation in overhead.OPERATIONS.items()
        ),
    ],
    "mlp": [Workload("mlp 784-512-512-10", mlp.mlp, target=1.5)],
    "mlp-small": [Workload("mlp-small 784-30-10", mlp.mlp_small, target=0.6)],
}
