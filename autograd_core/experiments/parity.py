"""Depth against width: how many hidden units say whether a number of bits is odd?

One layer that may only AND bits and OR the results needs 2^(n-1) units, one for each odd pattern (O. Lupanov, 1961;
J. Hastad, "Computational limitations of small depth circuits", 1987, for any bounded depth). One layer of ReLUs on
the sum of the bits needs as many units as the sum has teeth. Depth folds the sum in half at every layer (M. Telgarsky,
"Benefits of depth in neural networks", COLT 2016): 2 units a layer, log2(n) layers. All are built here, and
checked on every pattern.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.experiments.settings import Settings, figure, table

TITLE = "Parity of n bits: depth against width"


def run(settings: Settings) -> dict[str, Any]:
    sizes = (2, 4, 8) if settings.quick else (2, 4, 8, 16)
    bits, steps = (4, 600) if settings.quick else (8, 4000)
    shapes = [(1,), (bits,), (4 * bits,), (2 * bits, 2 * bits)] + ([] if settings.quick else [(bits,) * 4])
    seeds = 1 if settings.quick else 3
    settings.expect(len(sizes) + len(shapes) * seeds)
    built = []
    for n in sizes:
        patterns = all_patterns(n)
        row: dict[str, Any] = {"bits": n, "patterns": len(patterns)}
        for name, network in (("and-or", and_or(n)), ("one layer", comb(n)), ("folding", folds(n))):
            # The wide one is checked in parts, and 2^15 units by 2^16 patterns are left out.
            checked = patterns if len(patterns) <= 4096 or name != "and-or" else patterns[:256]
            units = sum(layer.out_features for layer in network if isinstance(layer, nn.Linear)) - 1
            with ag.no_grad():
                wrong = (network(checked)[:, 0] - odd(checked)).abs().max().item()
            row[name] = {"units": units, "checked": len(checked), "greatest_error": wrong}
        built.append(row)
        settings.step(f"{n} bits")
    trained = []
    for shape in shapes:
        for _ in range(seeds):
            trained.append({"bits": bits, "hidden": list(shape), "accuracy": learn(bits, shape, steps)})
            settings.step(f"training hidden layers of {shape}")
    return {"built": built, "steps": steps, "trained": trained}


def all_patterns(n: int) -> ag.Tensor:
    numbers = ag.arange(2**n)[:, None]
    return ((numbers >> ag.arange(n)) & 1).float()


def odd(patterns: ag.Tensor) -> ag.Tensor:
    return patterns.sum(1) % 2


def _network(*parts: tuple[ag.Tensor, ag.Tensor]) -> nn.Sequential:
    """Linear layers of these (weight, bias) with ReLU between them."""
    layers: list[nn.Module] = []
    for weight, bias in parts:
        linear: Any = nn.Linear(weight.shape[1], weight.shape[0])
        with ag.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def and_or(n: int) -> nn.Sequential:
    """A unit for each odd pattern: 1 where the input is this one, else 0."""
    patterns = all_patterns(n)
    patterns = patterns[odd(patterns) == 1]
    return _network((2 * patterns - 1, 1 - patterns.sum(1)), (ag.ones(1, len(patterns)), ag.zeros(1)))


def comb(n: int) -> nn.Sequential:
    """ReLUs of the sum of the bits, each turning the line by 2: up, down, up, ..."""
    turns = ag.tensor([[1.0] + [2.0 * (-1) ** i for i in range(1, n)]])
    return _network((ag.ones(n, n), -ag.arange(n).float()), (turns, ag.zeros(1)))


def folds(n: int) -> nn.Sequential:
    """For n = 2^k: s becomes |s - n/2|, then |s - n/4|, ... (each odd where s is), until 1 - |s - 1| tells."""
    assert n & (n - 1) == 0
    parts, half = [], n // 2
    incoming = ag.ones(1, n)  # the sum of the bits
    offset = 0.0
    while half >= 1:
        signs = ag.tensor([[1.0], [-1.0]])
        parts.append((signs @ incoming, (signs * (offset - half))[:, 0]))
        incoming = ag.ones(1, 2)  # relu(z) + relu(-z) = |z|
        half //= 2
    return _network(*parts, (-incoming, ag.ones(1)))


def learn(n: int, hidden: tuple[int, ...], steps: int) -> float:
    """The share of all patterns that are right after training on all of them."""
    widths = [n, *hidden, 1]
    layers: list[nn.Module] = []
    for m, k in zip(widths, widths[1:]):
        layers += [nn.Linear(m, k), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    optimizer = optim.Adam(network.parameters(), lr=0.01)
    patterns = all_patterns(n)
    target = odd(patterns)[:, None]
    for _ in range(steps):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(network(2 * patterns - 1), target).backward()
        optimizer.step()
    with ag.no_grad():
        return ((network(2 * patterns - 1) > 0) == (target == 1)).float().mean().item()


def lines(result: dict[str, Any]) -> list[str]:
    kinds = ("and-or", "one layer", "folding")
    return [
        "hidden units of networks that are right on every pattern, built by hand:",
        *table(
            ["bits", "AND of bits, then OR", "one layer of ReLU", "folding, log2(n) layers"],
            ([str(row["bits"]), *(row[kind]["units"] for kind in kinds)] for row in result["built"]),
        ),
        f"trained on all patterns, {result['steps']} steps of Adam:",
        *table(
            ["hidden layers", "bits", "share right"],
            ([" ".join(map(str, row["hidden"])), row["bits"], row["accuracy"]] for row in result["trained"]),
        ),
    ]


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    made = figure(5, 4)
    axes = made.subplots()
    bits = [row["bits"] for row in result["built"]]
    for kind, label in (
        ("and-or", "AND, then OR"),
        ("one layer", "one layer of ReLU"),
        ("folding", "folding in depth"),
    ):
        axes.semilogy(bits, [row[kind]["units"] for row in result["built"]], "o-", label=label)
    axes.set(xlabel="bits", ylabel="hidden units", title="Parity: depth against width")
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / "units.png"
    made.savefig(path, dpi=120)
    return [path]
