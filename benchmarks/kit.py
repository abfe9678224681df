"""What a workload asks for beside the library: data, equal weights, and steps in the way the run was asked for.

Imports nothing of ours, as do the workloads, so that a peer's process holds the peer alone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

Step = Callable[[], Any]


class Kit:
    """Makes the parts of one workload for `lib` on `device`, from one generator of numbers: the same in every library.

    channels_last, compiled, optimizer: how the library is to run (memory format, `lib.compile`, options of optimisers).

    After the workload's function has returned, `check` (a function without arguments, or None) gives a number that
    all libraries must agree on where the step returns no loss; `flops` and `bytes` are the least arithmetic and memory
    traffic of a step, or None where nobody has counted.
    """

    def __init__(
        self,
        lib: Any,
        device: str = "cpu",
        *,
        channels_last: bool = False,
        compiled: bool = False,
        optimizer: dict[str, Any] | None = None,
    ) -> None:
        self.lib, self.device = lib, device
        self._is_ours = lib.__name__ not in ("torch", "jax")
        self.channels_last, self.compiled, self.options = channels_last, compiled, optimizer or {}
        self.rng = np.random.default_rng(0)
        self.check: Callable[[], float] | None = None
        self.flops: float | None = None
        self.bytes: float | None = None
        self._count: Callable[[], float] | None = None

    def workload(self, name: str) -> Any:
        """The module of another workload, for one that shares its network."""
        return workload(name)

    # -- data -------------------------------------------------------------------------------------------

    def tensor(self, array: np.ndarray[Any, Any]) -> Any:
        if hasattr(self.lib, "from_numpy"):
            return self.lib.from_numpy(array).to(self.device)
        kind, _, index = self.device.partition(":")  # JAX
        return self.lib.device_put(array, self.lib.devices(kind)[int(index or 0)])

    def normal(self, *shape: int, scale: float = 1.0) -> Any:
        return self.tensor((scale * self.rng.standard_normal(shape)).astype(np.float32))

    def images(self, *shape: int) -> Any:
        x = self.tensor(self.rng.random(shape, np.float32))
        return x.contiguous(memory_format=self.lib.channels_last) if self.channels_last else x

    def integers(self, below: int, *shape: int) -> Any:
        return self.tensor(self.rng.integers(0, below, shape))

    # -- models and steps -------------------------------------------------------------------------------

    def model(self, model: Any) -> Any:
        """`model` on the device with the same weights in every library: scaled normal draws, biases of zero."""
        state = {}
        for name, value in model.state_dict().items():
            shape = tuple(value.shape)
            if len(shape) > 1:
                draws = self.rng.standard_normal(shape) * float(np.prod(shape[1:])) ** -0.5
                state[name] = self.lib.from_numpy(draws.astype(np.float32))
            else:  # Weights and statistics of normalisation start out alike anyway.
                state[name] = self.lib.zeros_like(value) if "bias" in name else value
        model.load_state_dict(state)
        model = model.to(self.device)
        return model.to(memory_format=self.lib.channels_last) if self.channels_last else model

    def optimizer(self, kind: str, parameters: Any, **options: Any) -> Any:
        return getattr(self.lib.optim, kind)(parameters, **options, **self.options)

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, or a module, compiled where the peer is to be."""
        return self.lib.compile(function) if self.compiled and not self._is_ours else function

    def whole(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A whole step, compiled where ours is to be: forward, backward and update are one plan."""
        return self.lib.compile(step, fullgraph=True) if self.compiled and self._is_ours else step

    def training(
        self, model: Any, loss_function: Any, optimizer: Any, x: Any, y: Any, clip: float | None = None
    ) -> Step:
        """A step of training on one batch: zero_grad, forward, loss, backward, clipping to a norm if asked, update."""
        forward, parameters = self.function(model), list(model.parameters())
        clip_grad_norm = self.lib.nn.utils.clip_grad_norm_
        self._count = lambda: 3 * products(self.lib, model, x)

        def step() -> Any:
            optimizer.zero_grad()
            loss = loss_function(forward(x), y)
            loss.backward()
            if clip is not None:
                clip_grad_norm(parameters, clip)
            optimizer.step()
            return loss

        return self.whole(step)

    def inference(self, model: Any, x: Any) -> Step:
        """The forward pass alone, in inference mode."""
        model.eval()
        forward, mode = self.function(model), self.lib.inference_mode
        self._count = lambda: products(self.lib, model, x)
        self.check = lambda: float(model(x).detach().square().sum())

        run = self.whole(lambda: forward(x))

        def step() -> None:
            with mode():
                run()

        return step

    def differentiated(self, function: Callable[..., Any], *inputs: Any) -> Step:
        """`function` of the inputs and its gradients with respect to all of them, for one drawn cotangent."""
        leaves = [x.requires_grad_() for x in inputs]
        forward = self.function(function)
        cotangent = self.normal(*function(*leaves).shape)
        if self.channels_last:
            cotangent = cotangent.contiguous(memory_format=self.lib.channels_last)
        self.check = lambda: sum(float(x.grad.square().sum()) for x in leaves)

        def work() -> Any:
            for x in leaves:
                x.grad = None
            y = forward(*leaves)
            y.backward(cotangent)
            return y

        run = self.whole(work)

        def step() -> None:
            run()

        return step

    # -- afterwards -------------------------------------------------------------------------------------

    def count(self) -> None:
        """Fill `flops` from the model's layers, if it was not given. Runs the model: for after the timing."""
        if self.flops is None and self._count is not None:
            self.flops = self._count()

    def synchronize(self) -> None:
        if self.device.startswith("cuda") and hasattr(self.lib, "cuda"):
            self.lib.cuda.synchronize()


def workload(name: str) -> Any:
    """The module of the workload file `name` in this folder, loaded without the package around it."""
    spec = spec_from_file_location(f"benchmark_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def products(lib: Any, model: Any, x: Any) -> float:
    """Floating-point operations of the matrix products and convolutions in one forward pass (a model may add its own).

    Backward has twice as many: one product for the input's gradient, one for the weight's.
    """
    nn, total = lib.nn, [float(getattr(model, "extra_flops", 0))]

    def note(module: Any, args: Any, output: Any) -> None:
        if isinstance(module, nn.Linear):
            total[0] += 2 * output.numel() * module.in_features
        elif isinstance(module, nn.Conv2d):
            total[0] += 2 * output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.LSTM):
            weights = sum(p.numel() for name, p in module.named_parameters() if "weight" in name)
            total[0] += 2 * (output[0].numel() // output[0].shape[-1]) * weights

    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with lib.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return total[0]
