"""Lines of code that are run under both libraries, `t` being autograd_core or PyTorch: values, dtypes, classes of error.

For what the sweep over PyTorch's samples does not reach: special functions, windows, in-place draws, questions about
tensors, and `out=`.
"""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest

import autograd_core as ag

SPECIAL = """
t.special.i0(t.linspace(-30, 30, 61, dtype=t.float64))
t.special.i0e(t.linspace(-900, 900, 37, dtype=t.float64))
t.special.i1(t.linspace(-30, 30, 61, dtype=t.float64))
t.special.i1e(t.linspace(-900, 900, 37, dtype=t.float64))
t.special.i0(t.tensor([0.0, float("nan"), 1e-30]))
slope(t.special.i0, t.linspace(-5, 5, 11, dtype=t.float64))
slope(t.special.i0e, t.linspace(-5, 5, 11, dtype=t.float64))
slope(t.special.i1, t.linspace(-5, 5, 11, dtype=t.float64))
slope(t.special.i1e, t.linspace(-50, 50, 11, dtype=t.float64))
slope(lambda x: slope(t.special.i1, x, True), t.linspace(0.5, 5, 10, dtype=t.float64))
t.special.entr(t.tensor([0.0, 0.3, 1.0, 2.0, -1.0, float("nan"), float("inf")]))
t.special.entr(t.tensor([0, 1, 2]))
slope(t.special.entr, t.tensor([0.0, 0.3, 2.0]))
t.special.ndtr(t.linspace(-4, 4, 17, dtype=t.float64))
t.special.ndtr(t.tensor([0, 1]))
t.special.log_ndtr(t.linspace(-40, 8, 25, dtype=t.float64))
slope(t.special.log_ndtr, t.linspace(-4, 4, 9, dtype=t.float64))
t.special.erfcx(t.linspace(-5, 60, 27, dtype=t.float64))
slope(t.special.erfcx, t.linspace(-3, 3, 13, dtype=t.float64))
t.special.xlog1py(t.tensor([0.0, 0.0, 2.0, 0.0]), t.tensor([-1.0, -2.0, 1e-8, float("nan")]))
t.special.xlog1py(2, t.tensor([1.0]))
t.special.expit(t.tensor([0.3])), t.special.psi(t.tensor([0.3])), t.special.gammaln(t.tensor([0.3]))
t.special.multigammaln(t.tensor([3.3]), 3)
t.mvlgamma(t.tensor([3.3]), 0)
t.frexp(t.tensor([3.0, -0.3, 0.0, float("inf"), 1e-40]))
t.frexp(t.arange(3))
t.angle(t.tensor([-1.0, 0.0, float("nan")])), t.angle(t.tensor([-1, 2]))
t.nextafter(t.tensor([1.0, -0.0]), t.tensor([2.0, -1.0]))
t.tensor([1.5]).polygamma(1)
t.imag(t.ones(2))
t.ones(2, 2, 2).H
t.adjoint(t.ones(3))
"""

WINDOWS = "\n".join(
    f"t.signal.windows.{name}({m}, sym={sym}, dtype=t.float64{more})"
    for name, more in (
        ("bartlett", ""), ("blackman", ""), ("cosine", ""), ("exponential", ", tau=2.0"), ("gaussian", ", std=1.5"),
        ("general_cosine", ", a=[0.4, 0.3, 0.2]"), ("general_hamming", ", alpha=0.6"), ("hamming", ""), ("hann", ""),
        ("kaiser", ", beta=3.0"), ("nuttall", ""),
    )
    for m in (0, 1, 2, 7)
    for sym in (True, False)
) + """
t.signal.windows.exponential(5, center=1.0, sym=False)
t.signal.windows.exponential(5, center=1.0)
t.signal.windows.hann(-1)
t.signal.windows.hann(3, dtype=t.int64)
t.signal.windows.gaussian(3, std=0)
t.signal.windows.general_cosine(3, a=[])
t.hann_window(6), t.hann_window(6, False), t.hann_window(1), t.hann_window(0)
t.hamming_window(6, True, 0.5, 0.4), t.hamming_window(6, True, 0.5)
t.blackman_window(6, periodic=False), t.bartlett_window(5), t.kaiser_window(6), t.kaiser_window(6, True, 3.0)
t.hann_window(-1)
t.hann_window(3, dtype=t.int64)
"""  # fmt: skip

METHODS = """
t.zeros(3, 3).fill_diagonal_(2), t.zeros(7, 3).fill_diagonal_(2), t.zeros(7, 3).fill_diagonal_(2, wrap=True)
t.zeros(3, 7).fill_diagonal_(2, wrap=True), t.zeros(2, 2, 2).fill_diagonal_(2), t.zeros(2, 2, dtype=t.int64).fill_diagonal_(2.5)
t.zeros(2, 2, 3).fill_diagonal_(2)
t.zeros(3).fill_diagonal_(2)
slope(lambda x: (x * 1).fill_diagonal_(2.0) * x, t.ones(2, 3))
t.ones(2).is_nonzero()
t.tensor([2.0]).is_nonzero(), t.is_nonzero(t.tensor(0))
t.ones(2).is_same_size(t.zeros(2)), t.is_same_size(t.ones(2), t.ones(2, 1)), t.ones(2).is_signed(), t.is_signed(t.ones(1, dtype=t.bool))
t.is_tensor(3), t.is_tensor(t.ones(1)), t.numel(t.ones(2, 3)), t.is_floating_point(t.ones(1)), t.is_complex(t.ones(1))
t.ones(2).is_shared(), t.ones(2).is_pinned(), t.ones(2).is_conj(), t.ones(2).is_neg(), t.ones(2).is_sparse, t.ones(2).is_meta, t.ones(2).is_quantized
t.can_cast(t.float32, t.int32), t.can_cast(t.int32, t.float32), t.can_cast(t.int64, t.uint8), t.can_cast(t.uint8, t.bool)
t.ones(2, 3).is_set_to(t.ones(2, 3)), (lambda x: (x.is_set_to(x.detach()), x.is_set_to(x.t())))(t.ones(2, 3))
t.ones(2, 3).t().dim_order(), t.ones(2, 3).storage_offset(), t.ones(2, 3)[1, 1:].storage_offset(), t.ones(2, 3).element_size(), t.ones(2, 3).nbytes
t.empty_strided((2, 3), (1, 2)).stride(), t.empty_permuted((2, 3, 4), (0, 2, 1)).stride(), t.ones(2).new_empty_strided((2, 3), (1, 4)).stride()
t.empty_strided((2, 3), (1,))
t.empty_permuted((2, 3), (0, 0))
t.ones(2).new(2, 3).shape, t.ones(2).new([1, 2]), t.ones(2).new().shape
t.range(0, 3), t.range(1, 4, 0.5), t.range(3, 1, -1)
t.range(1, 0)
t.ones(2).where(t.tensor([True, False]), t.zeros(2))
t.relu_(t.tensor([-1.0, 2.0])), t.exp_(t.zeros(2)), t.clamp_(t.tensor([-1.0, 2.0]), 0.0, 1.0), t.zero_(t.ones(2)), t.fill_(t.ones(2), 3), t.resize_as_(t.ones(2), t.ones(1)), t.t_copy(t.ones(2, 3)).stride(), t.detach(t.ones(2))
t.ones(2, 3)[None, t.newaxis].shape
t.ones(2) == None, t.ones(2) != None, None == t.ones(2), t.ones(2) == "a", t.ones(2) == 1, 0 != t.ones(2)
t.ones(2) < None
t.unsafe_chunk(t.arange(5), 2), t.arange(5).unsafe_split(2), t.unsafe_split_with_sizes(t.arange(5), [2, 3])
t.detach_copy(t.ones(2)), t.split_with_sizes_copy(t.arange(4), [1, 3]), t.as_strided_copy(t.arange(6), (2, 2), (2, 1), 1)
t.as_strided_scatter(t.zeros(6), t.ones(2, 2), (2, 2), (2, 1), 1)
t.ones(2, device="cpu").get_device(), t.get_device(t.ones(2, device="cpu")), t.ones(2).is_distributed(), t.is_distributed(t.ones(2)), t.typename(3), t.typename([])
t.split_copy(t.arange(4), 2), t.unbind_copy(t.arange(2)), t.slice_copy(t.arange(5), 0, 1, 4, 2), t.select_copy(t.ones(2, 3), 0, 1)
t.histogramdd(t.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 3.0], [5.0, 5.0]]), bins=[2, 3], range=[0.0, 1.0, 0.0, 3.0])[0]
t.histogramdd(t.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 3.0]]), bins=2, density=True, weight=t.tensor([1.0, 2.0, 3.0]))
"""

ERRORS_OF_DRAWS = """
t.zeros(4, dtype=t.int64).exponential_()
t.zeros(4).exponential_(-1)
t.zeros(4).exponential_(lambd=0)
t.zeros(4).geometric_(1.0)
t.zeros(4).geometric_()
t.zeros(4).log_normal_(0, -1)
t.zeros(4, dtype=t.int64).log_normal_()
t.zeros(4).cauchy_(0, -1)
t.zeros(4, dtype=t.int64).cauchy_()
t.zeros(4).random_(5, 3)
t.zeros(4, dtype=t.uint8).random_(0, 300)
t.zeros(4).random_(-3)
t.zeros(4, dtype=t.float16).random_(0, 100000)
t.zeros(4, dtype=t.int64).uniform_()
t.zeros(4).uniform_(2, 1)
t.zeros(4, dtype=t.int64).normal_()
t.zeros(4).normal_(0, -1)
t.zeros(4).normal_(sd=3)
t.zeros(4).bernoulli_(2.0)
t.zeros(4).bernoulli_(t.tensor([2.0, 0.0, 0.0, 0.0]))
t.zeros(4).bernoulli_(t.tensor([0, 1, 0, 1]))
t.zeros(4, requires_grad=True).normal_()
t.zeros(4).bernoulli_(t.tensor([0.0, 1.0, 0.0, 1.0]))
t.zeros(4, dtype=t.int64).bernoulli_(1.0)
t.zeros(0).exponential_()
(t.zeros(4, requires_grad=True) * 1).normal_().requires_grad
slope(lambda x: (x * 1).uniform_(), t.ones(3))
"""

OUT = """
into(t.add, t.ones(2), t.ones(2), out=t.zeros(2))
into(t.add, t.ones(2), t.ones(2), alpha=3, out=t.empty(0))
into(t.add, t.ones(2), t.ones(2), out=t.zeros(2, dtype=t.int64))
into(t.add, t.ones(2), t.ones(2, dtype=t.int64), out=t.zeros(2, dtype=t.float64))
into(t.add, t.ones(2), t.ones(2), out=t.zeros(2, dtype=t.bool))
into(t.add, t.ones(2, requires_grad=True), t.ones(2), out=t.zeros(2))
into(t.add, t.ones(2), t.ones(2), out=t.zeros(2, requires_grad=True))
into(t.no_grad()(t.add), t.ones(2, requires_grad=True), t.ones(2), out=t.zeros(2))
into(t.exp, t.zeros(2, 3).t(), out=t.ones(3, 2))
into(t.exp, t.zeros(2, 3), out=t.ones(3, 2).t())
into(t.exp, t.zeros(2), out=[1.0, 2.0])
into(t.exp, t.zeros(2), out=None)
into(t.abs, t.ones(2), out=t.zeros(2, dtype=t.float64))
into(t.max, t.tensor([[1.0, 3.0], [4.0, 2.0]]), 1, out=(t.empty(0), t.empty(0, dtype=t.int64)))
into(t.max, t.tensor([[1.0, 3.0], [4.0, 2.0]]), 1, out=(t.empty(0), t.empty(0)))
into(t.max, t.tensor([[1.0, 3.0], [4.0, 2.0]]), 1, out=(t.empty(0),))
into(t.sort, t.tensor([3.0, 1.0]), out=(t.zeros(2), t.zeros(2, dtype=t.int64)))
into(t.sum, t.ones(2, 3), 0, out=t.zeros(3))
into(t.sum, t.ones(2, 3), 0, dtype=t.float64, out=t.zeros(3))
into(t.mm, t.ones(2, 3), t.ones(3, 2), out=t.zeros(2, 2))
into(t.mm, t.ones(2, 3), t.ones(3, 2), out=t.zeros(2, 2, dtype=t.float64))
into(t.cat, (t.ones(2), t.zeros(1)), out=t.zeros(3))
into(t.cat, (t.ones(2), t.zeros(1)), 0, out=t.zeros(3, dtype=t.int64))
into(t.stack, [t.ones(2), t.zeros(2)], dim=1, out=t.empty(0))
into(t.eq, t.ones(2), t.ones(2), out=t.zeros(2))
into(t.arange, 3, out=t.zeros(3))
into(t.arange, 3, out=t.zeros(3, dtype=t.int64))
into(t.arange, 3, dtype=t.int64, out=t.zeros(3))
into(t.zeros, 2, 3, out=t.ones(2, 3, dtype=t.int64))
into(t.linspace, 0, 1, 3, out=t.empty(0, dtype=t.float64))
into(t.where, t.tensor([True, False]), t.ones(2), t.zeros(2), out=t.zeros(2))
into(t.gather, t.ones(2, 2), 1, t.zeros(2, 1, dtype=t.int64), out=t.zeros(2, 1))
into(t.clamp, t.tensor([-1.0, 2.0]), min=0.0, out=t.zeros(2))
into(t.sub, x, 1, out=x)
into(t.mul, x, 2, out=t.zeros(3).expand(2, 3))
into(t.exp, input=t.zeros(2), out=t.zeros(2))
into(t.special.i0, t.zeros(2), out=t.empty(0))
into(t.linalg.norm, t.ones(4), out=t.zeros(()))
into(t.linalg.slogdet, 2 * t.eye(2), out=(t.zeros(()), t.zeros(())))
t.exp(input=t.zeros(2)), t.add(input=t.ones(1), other=t.ones(1)), t.maximum(other=t.ones(1), input=t.zeros(1))
t.exp(t.zeros(2), 3)
"""


def outcome(t: Any, line: str) -> Any:
    def slope(function: Any, x: Any, recorded: bool = False) -> Any:
        x = x if recorded else x.detach().requires_grad_()
        (found,) = t.autograd.grad(function(x).sum(), x, create_graph=recorded, allow_unused=True)
        return found

    def into(function: Any, *args: Any, out: Any, **options: Any) -> Any:
        found = function(*args, out=out, **options)
        if out is not None:
            several = isinstance(out, tuple)
            assert all(a is b for a, b in zip(found if several else [found], out if several else [out], strict=True))
        return found

    x = t.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    try:
        return plain(eval(line, {"t": t, "slope": slope, "into": into, "x": x}))
    except Exception as error:
        return type(error)


def plain(x: Any) -> Any:
    if hasattr(x, "tolist"):
        return [str(x.dtype).split(".")[-1], tuple(x.shape), x.tolist()]
    return [plain(part) for part in x] if isinstance(x, tuple | list) else x


def close(a: Any, b: Any, rtol: float) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(p, q, rtol) for p, q in zip(a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b) or abs(a - b) <= rtol * abs(b) + rtol * 1e-2
    return bool(a == b)


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize(
    "line", [*lines(SPECIAL), *lines(WINDOWS), *lines(METHODS), *lines(ERRORS_OF_DRAWS), *lines(OUT)]
)
def test_line(line: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = outcome(ag, line), outcome(torch, line)
    if isinstance(theirs, type):
        assert isinstance(ours, type) and issubclass(ours, theirs), f"{ours}, PyTorch raises {theirs.__name__}"
        return
    assert not isinstance(ours, type), f"{ours.__name__}, PyTorch gives {theirs}"
    double = "float64" in line and "float32" not in str(theirs)
    assert close(ours, theirs, 1e-9 if double else 5e-6), f"{ours}\nPyTorch: {theirs}"


def test_an_out_of_another_shape_is_an_error() -> None:
    """PyTorch resizes it, with a warning."""
    with pytest.raises(RuntimeError, match="shape"):
        ag.add(ag.ones(2), ag.ones(2), out=ag.zeros(3))


def test_a_dense_tensor_is_not_coalesced() -> None:
    """PyTorch raises, since it is not sparse."""
    assert not ag.ones(2).is_coalesced()


def test_functions_that_take_out_are_pickled_by_name_and_are_not_the_line_of_an_anomaly() -> None:
    for function in (ag.exp, ag.add, ag.linalg.inv, ag.special.i0):
        assert pickle.loads(pickle.dumps(function)) is function
    x = ag.tensor([-1.0], requires_grad=True)
    with ag.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="test_lines.py"):
        ag.sqrt(x).sum().backward()


def test_a_change_through_out_is_seen_by_backward() -> None:
    x = ag.ones(2, requires_grad=True)
    saved = ag.ones(2)
    y = x * saved
    ag.exp(ag.zeros(2), out=saved)
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


@pytest.mark.parametrize(
    "fill, mean, spread",
    [
        (lambda x: x.exponential_(2.0), 0.5, 0.5),
        (lambda x: x.geometric_(0.25), 4.0, 12**0.5),
        (lambda x: x.log_normal_(0.0, 0.5), 1.1331, 0.6039),
        (lambda x: x.random_(2, 6), 3.5, 1.25**0.5),
        (lambda x: x.bernoulli_(0.25), 0.25, 0.1875**0.5),
        (lambda x: x.bernoulli_(x * 0 + 0.25), 0.25, 0.1875**0.5),
        (lambda x: x.cauchy_(1.0, 2.0).sub_(1.0).div_(2.0).atan_(), 0.0, 0.9069),
    ],
)
def test_draws_have_their_mean_and_spread(fill: Any, mean: float, spread: float) -> None:
    ag.manual_seed(0)
    x = fill(ag.zeros(40000, dtype=ag.float64))
    assert abs(x.mean().item() - mean) < 5 * spread / 200
    assert abs(x.std().item() - spread) < 0.05 * spread
    ag.manual_seed(0)
    assert ag.equal(x, fill(ag.zeros(40000, dtype=ag.float64)))


def test_random_fills_the_range_that_the_dtype_holds_exactly() -> None:
    for dtype, top in ((ag.int8, 127), (ag.bool_, 1), (ag.float16, 2048), (ag.int64, 2**63 - 1)):
        x = ag.zeros(4000, dtype=dtype).random_()
        assert x.min().item() >= 0 and top * 0.99 <= x.max().item() <= top


@pytest.mark.host("apply_ and map_ are for host memory")
def test_elementwise_python_functions() -> None:
    assert ag.ones(3, dtype=ag.int64).apply_(lambda v: v + 1.5).tolist() == [2, 2, 2]
    assert ag.ones(2, 2).map_(ag.tensor([1.0, 2.0]), lambda a, b: a + b).tolist() == [[2.0, 3.0], [2.0, 3.0]]
    assert ag.ones(2).map2_(ag.ones(2), ag.ones(2), lambda a, b, c: a + b + c).tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="requires grad"):
        ag.ones(3, requires_grad=True).apply_(abs)
    with pytest.raises(TypeError):
        ag.ones(2).map_(ag.ones(2, dtype=ag.int64), max)
