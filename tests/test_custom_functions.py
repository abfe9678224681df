"""Custom operations: `autograd.Function` to any order, and its mistakes; and that graphs leave no memory behind."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(values, dtype=ag.float64, requires_grad=True)


# -- custom functions -------------------------------------------------------------------------------------


class Exp(ag.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
        (y,) = ctx.saved_tensors
        return g * y


class SinAndCos(ag.autograd.Function):
    """Two outputs, each the derivative of the other."""

    @staticmethod
    def forward(ctx: Any, x: ag.Tensor) -> Any:
        sin, cos = x.sin(), x.cos()
        ctx.save_for_backward(sin, cos)
        return sin, cos

    @staticmethod
    def backward(ctx: Any, g_sin: ag.Tensor, g_cos: ag.Tensor) -> ag.Tensor:
        sin, cos = ctx.saved_tensors
        return g_sin * cos - g_cos * sin


class Product(ag.autograd.Function):
    """x * y ** power, with a number among the arguments, in the style that sets the context apart."""

    @staticmethod
    def forward(x: ag.Tensor, y: ag.Tensor, power: int) -> ag.Tensor:
        return x * y**power

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, y, ctx.power = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, g: ag.Tensor) -> Any:
        x, y = ctx.saved_tensors
        gx = g * y**ctx.power if ctx.needs_input_grad[0] else None
        gy = g * x * ctx.power * y ** (ctx.power - 1) if ctx.needs_input_grad[1] else None
        return gx, gy, None


def test_functions_to_second_order() -> None:
    x, y = leaf(0.5, -1.0), leaf(1.5, 2.0)
    assert ag.autograd.gradcheck(Exp.apply, x) and ag.autograd.gradgradcheck(Exp.apply, x)
    assert ag.autograd.gradcheck(SinAndCos.apply, x) and ag.autograd.gradgradcheck(SinAndCos.apply, x)
    assert ag.autograd.gradcheck(lambda x, y: Product.apply(x, y, 3), (x, y))
    assert ag.autograd.gradgradcheck(lambda x, y: Product.apply(x, y, 3), (x, y))


def test_needs_input_grad() -> None:
    x, y = leaf(2.0), ag.tensor([3.0], dtype=ag.float64)
    Product.apply(x, y, 2).sum().backward()
    assert x.grad.tolist() == [9.0] and y.grad is None
    with ag.no_grad():
        assert not Product.apply(x, y, 2).requires_grad


def test_several_outputs_some_unused_some_not_differentiable() -> None:
    class Parts(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> Any:
            index = x.argmax()
            top = x.max()
            ctx.mark_non_differentiable(index, top)
            return x * 2, x * 3, index, top

        @staticmethod
        def backward(ctx: Any, g2: ag.Tensor, g3: ag.Tensor, *rest: Any) -> ag.Tensor:
            return g2 * 2 + g3 * 3

    x = leaf(1.0, 4.0)
    double, triple, index, top = Parts.apply(x)
    assert index.item() == 1 and top.item() == 4.0 and not top.requires_grad
    assert double.requires_grad and triple.requires_grad
    triple.sum().backward()  # The unused output's cotangent arrives as zeros.
    assert x.grad.tolist() == [3.0, 3.0]


def test_unused_cotangents_are_none_if_asked() -> None:
    seen: list[Any] = []

    class Pair(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, a: Any, b: Any) -> Any:
            seen.append((a is None, b is None))
            return b * 3

    x = leaf(1.0)
    Pair.apply(x)[1].sum().backward()
    assert seen == [(True, False)] and x.grad.tolist() == [3.0]


def test_mark_dirty() -> None:
    class AddOne(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            return g * 10

    x = leaf(1.0, 2.0)
    y = x * 1
    z = AddOne.apply(y)
    assert z is y and y.tolist() == [2.0, 3.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [40.0, 60.0]


def test_an_input_returned_as_it_is() -> None:
    class Identity(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            return x

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            return g * 5

    x = leaf(1.0)
    y = Identity.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [5.0]


def test_once_differentiable() -> None:
    class Once(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @ag.autograd.function.once_differentiable
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            return g * 2 * ctx.saved_tensors[0]

    x = leaf(3.0)
    v = leaf(1.0)
    (g,) = ag.autograd.grad(Once.apply(x), x, v, create_graph=True)
    assert g.tolist() == [6.0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_a_saved_tensor_changed_in_place_is_an_error() -> None:
    x = leaf(1.0)
    y = Exp.apply(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


def test_a_saved_tensor_returned_as_gradient_is_not_taken_over() -> None:
    class Linear(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor, w: ag.Tensor) -> ag.Tensor:
            ctx.save_for_backward(w)
            return (x * w).sum()

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            return ctx.saved_tensors[0], None

    x, w = leaf(1.0, 2.0), ag.tensor([5.0, 7.0], dtype=ag.float64)
    for _ in range(2):
        Linear.apply(x, w).backward()
    assert x.grad.tolist() == [10.0, 14.0] and w.tolist() == [5.0, 7.0]


def test_function_mistakes() -> None:
    class TooMany(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ag.Tensor) -> ag.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            return g, g

    class WrongShape(TooMany):
        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> Any:
            return ag.ones(3, dtype=ag.float64)

    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="incorrect number of gradients.*expected 1, got 2"):
        TooMany.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match=r"gradient.*shape"):
        WrongShape.apply(x).sum().backward()
    with pytest.raises(NotImplementedError):
        ag.autograd.Function.apply(x)


# -- memory -----------------------------------------------------------------------------------------------


def test_a_graph_dies_with_its_output_without_the_collector() -> None:
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        for make in (
            lambda: x.exp().tanh() * x,
            lambda: nn.functional.softmax(x, 0),
            lambda: x.clone().mul_(2).exp_(),
            lambda: _changed_view(x),
            lambda: x.max(0).values,
            lambda: x[ag.tensor([0, 1])].sort().values,
            lambda: Exp.apply(x),
            lambda: SinAndCos.apply(x)[0],
        ):
            y = make()
            node = weakref.ref(y.grad_fn)
            y.sum().backward()
            del y
            assert node() is None, "a reference cycle keeps the graph"
    finally:
        gc.enable()


def _changed_view(x: ag.Tensor) -> ag.Tensor:
    base = x.clone()
    base[0].mul_(2)
    return base


def test_a_thousand_training_steps_leave_memory_flat_without_the_collector(device: str) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 3))
    optimizer = ag.optim.Adam(model.parameters(), lr=1e-3)
    inputs, targets = ag.randn(4, 8), ag.tensor([0, 1, 2, 0])

    def steps(n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()

    steps(20)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, count = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
        steps(1000)
        grown, objects = tracemalloc.get_traced_memory()[0] - before, len(gc.get_objects()) - count
    finally:
        tracemalloc.stop()
        gc.enable()
    # Python's free lists fill slowly, with up to 2000 tuples of each length (on the simulated device with most of them);
    # one object lost a step would be 50,000 bytes and more.
    assert grown < (40_000 if device == "cpu" else 1_000_000) and objects < 100, (
        f"{grown} bytes and {objects} objects more after 1000 steps"
    )


def test_buffers_are_freed_as_backward_consumes_them() -> None:
    x = ag.ones(4, requires_grad=True)
    y = x.exp()
    node = y.grad_fn
    y.sum().backward()
    assert not any(hasattr(a, "shape") for a in node.saved)


def test_the_first_layer_computes_no_input_gradient() -> None:
    """Three layers: 3 products forward; backward 3 for weights and 2 for inputs."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))
    x = ag.randn(3, 4)
    backend, calls = x._backend, []
    kernels = [n for n in dir(backend) if n.startswith(("matmul", "linear", "addmm")) and callable(getattr(backend, n))]
    own = {name: vars(backend).get(name) for name in kernels}

    def counted(name: str, kernel: Any) -> Any:
        def call(*args: Any) -> Any:
            calls.append(name)
            return kernel(*args)

        return call

    for name in kernels:
        setattr(backend, name, counted(name, getattr(backend, name)))
    try:
        out = model(x).sum()
        forward = len(calls)
        out.backward()
        without = len(calls) - forward
        calls.clear()
        model(x.requires_grad_()).sum().backward()
        with_input = len(calls) - forward
    finally:
        for name in kernels:
            if own[name] is None:
                delattr(backend, name)
            else:
                setattr(backend, name, own[name])
    assert without == with_input - 1, (without, with_input)
    assert x.grad is not None
