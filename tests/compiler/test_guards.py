"""Whatever a function reads by name may change between calls: a compiled one then does what the function does."""

from __future__ import annotations

import collections
import enum
import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn

Case = tuple[Callable[..., Any], Callable[[], None]]


class Config:
    scale = 2.0
    table = {"a": 1.0}


class Slotted:
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 2.0


class Kind(enum.Enum):
    PLUS = 1
    MINUS = 2


class Named(nn.Module):
    power = 2

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(ag.full((3,), 2.0))
        self.register_buffer("shift", ag.ones(3))
        self.kind = Kind.PLUS
        self.inner = [nn.Identity(), {"scale": 3.0}]
        self.inputs: Any = None

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        y = x * self.w**self.power + self.shift * self.inner[1]["scale"]
        return y if self.kind is Kind.PLUS else -y


def class_attribute() -> Case:
    def f(x: Any) -> Any:
        return x * Config.scale + Config.table["a"]

    return f, lambda: setattr(Config, "scale", Config.scale + 1)


def table_of_a_class() -> Case:
    def f(x: Any) -> Any:
        return x * Config.table["a"]

    return f, lambda: Config.table.update(a=Config.table["a"] + 1)


def slots() -> Case:
    s = Slotted()
    return lambda x: x * s.scale, lambda: setattr(s, "scale", 5.0)


def attribute_of_a_module_class() -> Case:
    m = Named()
    return m, lambda: setattr(Named, "power", 5 - Named.power)


def enum_member() -> Case:
    m = Named()
    return m, lambda: setattr(m, "kind", Kind.MINUS)


def deep_inside() -> Case:
    m = Named()
    return m, lambda: m.inner[1].update(scale=7.0)


def new_parameter() -> Case:
    m = Named()
    return m, lambda: setattr(m, "w", nn.Parameter(ag.full((3,), 5.0)))


def new_buffer() -> Case:
    m = Named()
    return m, lambda: setattr(m, "shift", ag.full((3,), 5.0))


def buffer_of_another_dtype() -> Case:
    m = Named()
    return m, lambda: setattr(m, "shift", ag.full((3,), 5.0, dtype=ag.float64))


def forward_of_the_object() -> Case:
    m = Named()
    return (lambda x: m(x)), lambda: setattr(m, "forward", lambda x: x * 100)


def method_of_the_class() -> Case:
    class Mine(Named):
        def forward(self, x: Any) -> Any:
            return x * 2

    m = Mine()
    return m, lambda: setattr(Mine, "forward", lambda self, x: x * 3)


def two_names() -> Case:
    t = ag.ones(3)
    a, b = [t], {"t": t}
    return lambda x: x + a[0] * 10 + b["t"], lambda: b.update(t=ag.full((3,), 4.0))


def two_names_of_a_list() -> Case:
    shared = [2.0, 3.0]
    a, b = Callable_(), Callable_()
    a.scale = b.scale = shared
    return lambda x: x * a.scale[0] + b.scale[1], lambda: setattr(b, "scale", [5.0, 7.0])


def two_tensors_on_one_memory() -> Case:
    t = ag.ones(3)
    a, b = [t], [t.detach()]

    def change() -> None:
        b[0].data = ag.full((3,), 4.0)

    return lambda x: x + a[0] * 10 + b[0], change


def tied_parameters() -> Case:
    a, b = nn.Parameter(ag.ones(3)), nn.Parameter(ag.ones(3))
    b.data = a.data

    def change() -> None:
        b.data = ag.full((3,), 4.0)

    return lambda x: (x * a + b).detach(), change


def untied_parameters() -> Case:
    a, b = nn.Parameter(ag.ones(3)), nn.Parameter(ag.full((3,), 2.0))

    def f(x: Any) -> Any:
        with ag.no_grad():
            a.add_(x)
            return b * 1

    def change() -> None:
        b.data = a.data

    return f, change


def other_module() -> Case:
    import guarded_by_others

    return lambda x: x * guarded_by_others.scale, lambda: setattr(
        guarded_by_others, "scale", guarded_by_others.scale + 1
    )


def imported_inside() -> Case:
    def f(x: Any) -> Any:
        import guarded_by_others

        return x * guarded_by_others.scale

    def change() -> None:
        import guarded_by_others

        guarded_by_others.scale += 1

    return f, change


def long_list() -> Case:
    numbers = [float(i) for i in range(100)]
    return lambda x: x * numbers[70], lambda: numbers.__setitem__(70, 3.0)


def long_dict() -> Case:
    numbers = {i: float(i) for i in range(100)}
    return lambda x: x * numbers[70], lambda: numbers.__setitem__(70, 3.0)


def a_set() -> Case:
    seen = {1, 2}
    return lambda x: x * 3 if 3 in seen else x * 2, lambda: seen.add(3)


def a_deque() -> Case:
    queue = collections.deque([1.0, 2.0])
    return lambda x: x * queue[0], lambda: queue.rotate(1)


def numpy_array() -> Case:
    numpy = pytest.importorskip("numpy")
    a = numpy.ones(3, "float32")
    return lambda x: x + ag.tensor(a), lambda: a.__setitem__(1, 7.0)


def numpy_scalar() -> Case:
    numpy = pytest.importorskip("numpy")
    box = [numpy.float64(2.0)]
    return lambda x: x * float(box[0]), lambda: box.__setitem__(0, numpy.float64(3.0))


def a_default() -> Case:
    def f(x: Any, scale: float = 2.0, *, more: list[float] = [1.0]) -> Any:  # noqa: B006
        return x * scale + more[0]

    def change() -> None:
        f.__defaults__ = (3.0,)
        f.__kwdefaults__["more"][0] = 5.0

    return f, change


def partial() -> Case:
    values = [2.0]
    f = functools.partial(lambda values, x, offset: x * values[0] + offset, values, offset=1.0)
    return f, lambda: values.__setitem__(0, 3.0)


class Callable_:
    def __init__(self) -> None:
        self.scale = 2.0

    def __call__(self, x: Any) -> Any:
        return self._scaled(x)

    def _scaled(self, x: Any) -> Any:
        return x * self.scale


def callable_object() -> Case:
    c = Callable_()
    return c, lambda: setattr(c, "scale", 3.0)


def bound_method() -> Case:
    c = Callable_()
    return c._scaled, lambda: setattr(c, "scale", 3.0)


def helper_function() -> Case:
    box = {"f": lambda x: x * 2}

    def helper(x: Any) -> Any:
        return box["f"](x)

    return lambda x: helper(x) + 1, lambda: box.update(f=lambda x: x * 3)


def compiled_helper() -> Case:
    box = [2.0]
    helper = ag.compile(lambda x: x * box[0])
    return lambda x: helper(x) + 1, lambda: box.__setitem__(0, 3.0)


def compiled_module() -> Case:
    m = Named()
    helper = ag.compile(m)
    return lambda x: helper(x) + 1, lambda: m.inner[1].update(scale=7.0)


def code_of_a_function() -> Case:
    def helper(x: Any) -> Any:
        return x * 2

    def other(x: Any) -> Any:
        return x * 3

    return lambda x: helper(x), lambda: setattr(helper, "__code__", other.__code__)


def none_becomes_a_tensor() -> Case:
    m = Named()

    def f(x: Any) -> Any:
        return x * 2 if m.inputs is None else x + m.inputs

    return f, lambda: setattr(m, "inputs", ag.ones(3))


def float_becomes_an_int() -> Case:
    box = [2.0]
    return lambda x: ag.ones(3, dtype=ag.int64) * box[0], lambda: box.__setitem__(0, 2)


def minus_zero() -> Case:
    box = [0.0]
    return lambda x: x / ag.full((3,), box[0]), lambda: box.__setitem__(0, -0.0)


def gradient_that_an_optimiser_finds() -> Case:
    a, b = ag.ones(3, requires_grad=True), ag.ones(3, requires_grad=True)
    optimizer = ag.optim.SGD([a, b], lr=0.5)

    def f(x: Any) -> Any:
        (a * x).sum().backward()
        optimizer.step()
        a.grad = None
        return (a + b).detach()

    return f, lambda: setattr(b, "grad", ag.ones(3))


def gradient_that_is_looked_at() -> Case:
    p = ag.ones(3, requires_grad=True)
    return lambda x: x * 2 if p.grad is None else x + p.grad, lambda: setattr(p, "grad", ag.ones(3))


def new_layer() -> Case:
    m = nn.Sequential(nn.Identity(), nn.Tanh())
    return m, lambda: m.append(nn.Tanh()) and None


def parameters_of_a_model() -> Case:
    m = Named()

    def f(x: Any) -> Any:
        return x + sum(p.detach().sum() for p in m.parameters())

    return f, lambda: m.register_parameter("extra", nn.Parameter(ag.ones(3)))


def shape_of_a_tensor() -> Case:
    box = [ag.ones(3)]
    return lambda x: x * box[0].shape[0], lambda: box.__setitem__(0, ag.ones(4))


def trained_or_not() -> Case:
    t = ag.ones(3)

    def change() -> None:
        t.requires_grad_()

    return lambda x: x * 2 if t.requires_grad else x * 3, change


CASES = [
    class_attribute, table_of_a_class, slots, attribute_of_a_module_class, enum_member, deep_inside, new_parameter,
    new_buffer, buffer_of_another_dtype, forward_of_the_object, method_of_the_class, two_names, two_names_of_a_list,
    two_tensors_on_one_memory, tied_parameters, untied_parameters, other_module, imported_inside, long_list, long_dict,
    a_set, a_deque, numpy_array, numpy_scalar, a_default, partial, callable_object, bound_method, helper_function, compiled_helper, compiled_module,
    code_of_a_function, none_becomes_a_tensor, float_becomes_an_int, minus_zero, gradient_that_an_optimiser_finds, gradient_that_is_looked_at, new_layer, parameters_of_a_model, shape_of_a_tensor, trained_or_not,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_a_change_between_calls_is_seen(case: Callable[[], Case]) -> None:
    found = []
    for compiled in (True, False):
        function, change = case()
        f = ag.compile(function, fullgraph=True, backend="aot_eager") if compiled else function
        values = [f(ag.arange(3.0) + i).tolist() for i in range(3)]
        change()
        values += [f(ag.arange(3.0) + i).tolist() for i in range(3)]
        if compiled:
            inner = f._compiled if hasattr(f, "_compiled") else f
            assert inner.entries and not inner._eager
        found.append(str(values))
        for restored, name, value in ((Config, "scale", 2.0), (Named, "power", 2), (Config, "table", {"a": 1.0})):
            setattr(restored, name, value)
        __import__("guarded_by_others").scale = 2.0
    assert found[0] == found[1]
    before, after = found[0][: len(found[0]) // 2], found[0][len(found[0]) // 2 :]
    assert before.strip("[], ") != after.strip("[], ")


def test_a_large_array_of_the_host_is_refused() -> None:
    numpy = pytest.importorskip("numpy")
    a = numpy.ones(5000)
    f = ag.compile(lambda x: x + ag.tensor(a[:3]), fullgraph=True)
    with pytest.raises(ag.compiler.CompileError, match="it reads a, a ndarray of 40000 bytes; make it a tensor"):
        for _ in range(2):
            f(ag.ones(3))


def test_a_tensor_made_at_the_first_call_is_read_later():
    class Cache:
        scale = None

        def __init__(self):
            self.scale = None

        def get(self):
            if self.scale is None:
                self.scale = ag.full((), 2.0)
            return self.scale

    cache = Cache()
    compiled = ag.compile(lambda x: x * cache.get())
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            found.append(compiled(ag.ones(1)).item())
            with ag.no_grad():
                cache.scale.mul_(10)
    assert found == [2.0, 20.0, 200.0, 2000.0]


def test_the_scale_of_a_grad_scaler_is_not_frozen():
    def losses(wrap):
        ag.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = ag.optim.SGD(model.parameters(), lr=0.5)
        scaler = ag.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
        x, y = ag.randn(8, 4), ag.randint(0, 2, (8,))

        def step(x, y):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            return loss

        step = wrap(step)
        found = []
        for _ in range(6):
            found.append(step(x, y).item())
            scaler.step(optimizer)
            scaler.update()
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert losses(ag.compile) == losses(lambda step: step)
