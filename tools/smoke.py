"""Does the installed wheel work on its own? Run by an environment that holds nothing else, from another folder."""

import importlib
import sys
from pathlib import Path

import autograd_core as ag
from autograd_core import nn, optim

package = Path(ag.__file__).parent
assert package.is_relative_to(sys.prefix), f"autograd_core was imported from {package}, not from the environment"
assert (package / "py.typed").is_file(), "py.typed is missing from the wheel"
for name in ("backends", "benchmarks", "examples", "nn", "optim", "utils.data"):
    module = importlib.import_module(f"autograd_core.{name}")
    assert Path(str(module.__file__)).is_relative_to(package), f"{name} was imported from {module.__file__}"

# A straight line through noiseless points, learnt from scratch.
ag.manual_seed(0)
x = ag.linspace(-1.0, 1.0, 32).reshape(32, 1)
y = 3.0 * x - 0.5
model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = optim.Adam(model.parameters(), lr=0.05)
first = nn.functional.mse_loss(model(x), y).item()
for _ in range(200):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
assert loss.item() < 0.01 * first, f"200 steps of Adam took the loss only from {first} to {loss.item()}"
print(f"autograd-core {ag.__version__} from the wheel: loss {first:.3f} -> {loss.item():.6f}")
