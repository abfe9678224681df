"""Programs around one compiled function, as in `test_both_ways.py`: what objects, classes and functions hold."""

from __future__ import annotations

import array
import collections
import contextlib
import functools
import random
import unittest.mock
from collections.abc import Callable
from typing import Any

import pytest
from both_ways import Box, Program, Wrap, changed_by, hold, of, seen

import autograd_core as ag
from autograd_core import nn

# -- behind decorators, and objects with a __getattr__ ------------------------------------------------------------


@contextlib.contextmanager
def nothing() -> Any:
    yield


DECORATORS: dict[str, Callable[[Any], Any]] = {
    "no_grad": ag.no_grad(),
    "enable_grad": ag.enable_grad(),
    "inference_mode": ag.inference_mode(),
    "autocast": ag.autocast("cpu", enabled=False),
    "two": lambda f: ag.no_grad()(ag.enable_grad()(f)),
    "context manager": lambda f: nothing()(f),
    "singledispatch": functools.singledispatch,
    "cache": functools.lru_cache(maxsize=0),
    "func.grad": lambda f: ag.func.grad(lambda x: f(x).sum()),
}


def behind_a_decorator(wrap: Wrap) -> Any:
    found = []
    for decorator in DECORATORS.values():
        s = Box(scale=2.0)

        def scaled(x: ag.Tensor, s: Box = s) -> ag.Tensor:
            return x * s.scale

        f = wrap(decorator(scaled))
        x = of(1, 2).requires_grad_()
        found += [seen(f(x)) for _ in range(2)]
        s.scale = 3.0
        found += [seen(f(x)) for _ in range(2)]
    return found


def dropout_behind_a_decorator(wrap: Wrap) -> Any:
    drop = nn.Dropout(0.5)

    @ag.no_grad()
    def evaluate(x: ag.Tensor) -> ag.Tensor:
        return drop(x)

    f = wrap(evaluate)
    ag.manual_seed(0)
    found = [seen(f(ag.ones(8))) for _ in range(2)]
    drop.eval()
    return [*found, *(seen(f(ag.ones(8))) for _ in range(2))]


def method_behind_a_decorator(wrap: Wrap) -> Any:
    class Scaled(Box):
        @ag.no_grad()
        def run(self, x: ag.Tensor) -> ag.Tensor:
            return x * self.scale

    s = Scaled(scale=2.0)
    f = wrap(lambda x: s.run(x))
    found = [seen(f(of(1))) for _ in range(2)]
    s.scale = 3.0
    return [*found, *(seen(f(of(1))) for _ in range(2))]


class Permissive:
    def __getattr__(self, name: str) -> Any:
        return 1


class Raising:
    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


def objects_with_a_getattr(wrap: Wrap) -> Any:
    permissive, raising, mock = Permissive(), Raising(), unittest.mock.MagicMock()
    permissive.scale = raising.scale = mock.scale = 2.0
    numbers = array.array("d", [1.0, 2.0])
    f = wrap(lambda x: x * permissive.scale + raising.scale * mock.scale + numbers[1])
    found = [seen(f(of(1))) for _ in range(3)]
    for changed in (permissive, raising, mock):
        changed.scale += 1.0
        found += [seen(f(of(1))) for _ in range(3)]
    numbers[1] = 5.0
    return [*found, *(seen(f(of(1))) for _ in range(3))]


# -- attributes that are not there ------------------------------------------------------------------------


def attribute_of_the_object_over_that_of_its_class(wrap: Wrap) -> Any:
    class Base:
        scale = 2.0

    class Derived(Base):
        pass

    k = Derived()
    return changed_by(
        wrap,
        lambda x: x * k.scale,
        lambda: setattr(Derived, "scale", 3.0),
        lambda: setattr(k, "scale", 4.0),
        lambda: delattr(k, "scale"),
    )


def attribute_asked_for(wrap: Wrap) -> Any:
    s = Box()

    def f(x: ag.Tensor) -> ag.Tensor:
        return x * (getattr(s, "k", 2.0) + (1.0 if hasattr(s, "other") else 0.0))

    return changed_by(
        wrap, f, lambda: setattr(s, "k", 3.0), lambda: setattr(s, "k", 4.0), lambda: setattr(s, "other", 0)
    )


def global_that_comes_to_be(wrap: Wrap) -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        try:
            return x * comes_to_be  # type: ignore[name-defined]
        except NameError:
            return x * 2

    found = changed_by(wrap, f, lambda: globals().update(comes_to_be=3.0))
    del globals()["comes_to_be"]
    return found


def attribute_set_inside(wrap: Wrap) -> Any:
    s = Box()

    def f(x: ag.Tensor) -> ag.Tensor:
        s.h = x * 2
        return s.h + 1

    f = wrap(f)
    return [(seen(f(of(i))), seen(s.h)) for i in range(4)]


def attribute_set_and_deleted_inside(wrap: Wrap) -> Any:
    s = Box()

    def f(x: ag.Tensor) -> ag.Tensor:
        if hasattr(s, "h"):
            del s.h
            return x
        s.h = 1
        return x * 2

    return changed_by(wrap, f)


class Tripled(nn.Identity):
    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return x * 3


class Scaled(Box):
    def scaled(self, x: ag.Tensor) -> ag.Tensor:
        return x * 2


class ScaledMore(Scaled):
    def scaled(self, x: ag.Tensor) -> ag.Tensor:
        return x * 4


def class_of_an_object(wrap: Wrap) -> Any:
    m, s = nn.Sequential(nn.Identity()), Scaled()
    return changed_by(
        wrap,
        lambda x: s.scaled(m(x)),
        lambda: setattr(m[0], "__class__", Tripled),
        lambda: setattr(s, "__class__", ScaledMore),
    )


# -- what else holds values -------------------------------------------------------------------------------


class Settings(dict[str, float]):
    bias = 0.0


def subclass_of_a_dict(wrap: Wrap) -> Any:
    s, n = Settings(scale=2.0), collections.Counter(a=2)

    def change() -> None:
        s.bias = 5.0

    return changed_by(
        wrap,
        lambda x: x * s["scale"] * n["a"] + s.bias,
        lambda: s.update(scale=3.0),
        lambda: n.update("a"),
        change,
    )


def dicts_of_the_standard_library(wrap: Wrap) -> Any:
    user, chain = collections.UserDict(a=2.0), collections.ChainMap({"a": 2.0}, {"b": 3.0})
    missing: dict[str, float] = collections.defaultdict(lambda: 2.0)
    return changed_by(
        wrap,
        lambda x: x * user["a"] + chain["b"] * missing["a"],
        lambda: user.update(a=3.0),
        lambda: chain.update(b=4.0),
        lambda: missing.update(a=5.0),
    )


def subclass_of_a_list(wrap: Wrap) -> Any:
    class Scales(list[float]):
        factor = 2.0

    s = Scales([2.0, 3.0])
    return changed_by(
        wrap, lambda x: x * s[1] * s.factor, lambda: s.__setitem__(1, 4.0), lambda: setattr(s, "factor", 3.0)
    )


def attribute_of_a_function(wrap: Wrap) -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        return x * f.scale  # type: ignore[attr-defined]

    f.scale = 2.0  # type: ignore[attr-defined]
    return changed_by(wrap, f, lambda: setattr(f, "scale", 3.0))


def attribute_of_a_tensor(wrap: Wrap) -> Any:
    p, box = nn.Parameter(of(1)), [of(1)]
    p.scale, box[0].scale = 2.0, 3.0  # type: ignore[attr-defined]
    return changed_by(
        wrap,
        lambda x: (x * p * p.scale + box[0] * box[0].scale).detach(),  # type: ignore[attr-defined]
        lambda: setattr(p, "scale", 3.0),
        lambda: setattr(box[0], "scale", 4.0),
    )


def queue_of_tensors(wrap: Wrap) -> Any:
    queue = collections.deque([of(1), of(2)])
    return changed_by(wrap, lambda x: x * queue[0], lambda: queue.rotate(1))


def set_of_objects(wrap: Wrap) -> Any:
    scales = {Box(scale=2.0)}

    def change() -> None:
        scales.pop()
        scales.add(Box(scale=3.0))

    def change_inside() -> None:
        next(iter(scales)).scale = 4.0  # type: ignore[attr-defined]

    return changed_by(wrap, lambda x: x * next(iter(scales)).scale, change, change_inside)  # type: ignore[attr-defined]


def method_of_a_list(wrap: Wrap) -> Any:
    values: list[int] = []
    log = values.append

    def f(x: ag.Tensor) -> ag.Tensor:
        log(1)
        return x * 2

    return [changed_by(wrap, f), values]


def count_of_a_function(wrap: Wrap) -> Any:
    def f(x: ag.Tensor) -> ag.Tensor:
        f.n += 1  # type: ignore[attr-defined]
        return x * f.n  # type: ignore[attr-defined]

    f.n = 0  # type: ignore[attr-defined]
    return changed_by(wrap, f)


def count_of_a_tensor(wrap: Wrap) -> Any:
    p = of(1).requires_grad_()

    def f(x: ag.Tensor) -> ag.Tensor:
        p.n = getattr(p, "n", 0) + 1  # type: ignore[attr-defined]
        return (x * p * p.n).detach()  # type: ignore[attr-defined]

    return changed_by(wrap, f)


def generators_of_others(wrap: Wrap) -> Any:
    numpy = pytest.importorskip("numpy")
    dice, rng = random.Random(0), numpy.random.default_rng(0)

    def seeded(x: ag.Tensor) -> ag.Tensor:
        numpy.random.seed(int(numpy.random.rand() * 1000))
        return x * float(numpy.random.rand())

    numpy.random.seed(0)
    functions = [lambda x: x * dice.random(), lambda x: x * float(rng.random()), seeded]
    return [changed_by(wrap, f) for f in functions]


REPLAYED = [
    dicts_of_the_standard_library, behind_a_decorator, dropout_behind_a_decorator, method_behind_a_decorator,
    objects_with_a_getattr, attribute_of_the_object_over_that_of_its_class, attribute_asked_for,
    global_that_comes_to_be, attribute_set_inside, class_of_an_object, subclass_of_a_dict, subclass_of_a_list,
    attribute_of_a_function, attribute_of_a_tensor, queue_of_tensors, set_of_objects,
]  # fmt: skip
RUN_AS_WRITTEN = [
    attribute_set_and_deleted_inside, method_of_a_list, count_of_a_function, count_of_a_tensor,
    generators_of_others,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ag.compile")
@pytest.mark.parametrize("program", [*REPLAYED, *RUN_AS_WRITTEN], ids=lambda p: p.__name__)
def test_a_program_sees_what_it_sees_uncompiled(program: Program) -> None:
    hold(program, replayed=program in REPLAYED)
