"""The docstrings of what is declared in tables rather than by `def`: primitives, and the small members of `Tensor`.

An entry below is a name and its text, an example, and what that prints; without a text, the example goes below the
docstring that there is. The examples run as this module's doctests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from autograd_core.tensor import Tensor

# Functions of `ag`, and methods of Tensor by the same name.
_FUNCTIONS = """
abs: |x|, element by element.
    ag.abs(ag.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
acos: The angle in [0, pi] whose cosine is x; NaN outside [-1, 1].
    ag.acos(ag.tensor([1.0, 0.0]))
    tensor([0.0000, 1.5708])
acosh:
    ag.acosh(ag.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
asin: The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1].
    ag.asin(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
asinh:
    ag.asinh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
atan: The angle in (-pi/2, pi/2) whose tangent is x.
    ag.atan(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
atan2: The angle in [-pi, pi] of the point (other, input): atan(input / other) in the right quadrant.
    ag.atan2(ag.tensor([1.0, 1.0]), ag.tensor([1.0, -1.0]))
    tensor([0.7854, 2.3562])
atanh:
    ag.atanh(ag.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
bartlett_window:
    ag.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
bitwise_and:
    ag.bitwise_and(ag.tensor([6, 5]), 3)
    tensor([2, 1])
bitwise_left_shift:
    ag.bitwise_left_shift(ag.tensor([1, 3]), 2)
    tensor([ 4, 12])
bitwise_or:
    ag.bitwise_or(ag.tensor([6, 5]), 3)
    tensor([7, 7])
bitwise_right_shift:
    ag.bitwise_right_shift(ag.tensor([8, -3]), 1)
    tensor([ 4, -2])
bitwise_xor:
    ag.bitwise_xor(ag.tensor([6, 5]), 3)
    tensor([5, 6])
blackman_window:
    ag.blackman_window(4)
    tensor([-1.3878e-17,  3.4000e-01,  1.0000e+00,  3.4000e-01])
ceil:
    ag.ceil(ag.tensor([1.2, -1.2]))
    tensor([ 2., -1.])
copysign:
    ag.copysign(ag.tensor([1.0, 2.0]), ag.tensor([-3.0, 4.0]))
    tensor([-1.,  2.])
cos: The cosine of x, in radians.
    ag.cos(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
cosh: (e^x + e^-x) / 2.
    ag.cosh(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
empty_like:
    ag.empty_like(ag.ones(2, 3)).shape
    ag.Size([2, 3])
eq: Whether input = other, element by element, as bools.
    ag.eq(ag.tensor([1, 2]), 2)
    tensor([False, True])
erfc:
    ag.erfc(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
erfinv:
    ag.erfinv(ag.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
exp: e^x.
    ag.exp(ag.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
exp2:
    ag.exp2(ag.tensor([0.0, 3.0]))
    tensor([1., 8.])
expm1: e^x - 1, precise for small x.
    ag.expm1(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
floor:
    ag.floor(ag.tensor([1.2, -1.2]))
    tensor([ 1., -2.])
fmax:
    ag.fmax(ag.tensor([1.0, float('nan')]), ag.tensor([3.0, 2.0]))
    tensor([3., 2.])
fmin:
    ag.fmin(ag.tensor([1.0, float('nan')]), ag.tensor([3.0, 2.0]))
    tensor([1., 2.])
gcd:
    ag.gcd(ag.tensor([12, 7]), ag.tensor([18, 21]))
    tensor([6, 7])
ge: Whether input >= other, element by element, as bools.
    ag.ge(ag.tensor([1, 2]), 2)
    tensor([False, True])
gt: Whether input > other, element by element, as bools.
    ag.gt(ag.tensor([1, 2]), 1)
    tensor([False, True])
hamming_window:
    ag.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
hann_window:
    ag.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
hypot:
    ag.hypot(ag.tensor([3.0]), ag.tensor([4.0]))
    tensor([5.])
is_complex:
    ag.is_complex(ag.ones(2))
    False
isfinite:
    ag.isfinite(ag.tensor([1.0, float('inf'), float('nan')]))
    tensor([True, False, False])
isinf:
    ag.isinf(ag.tensor([1.0, float('inf'), float('nan')]))
    tensor([False, True, False])
isnan:
    ag.isnan(ag.tensor([1.0, float('inf'), float('nan')]))
    tensor([False, False, True])
kaiser_window:
    ag.kaiser_window(4).shape
    ag.Size([4])
lcm:
    ag.lcm(ag.tensor([4, 7]), ag.tensor([6, 2]))
    tensor([12, 14])
le: Whether input <= other, element by element, as bools.
    ag.le(ag.tensor([1, 2]), 1)
    tensor([True, False])
lgamma:
    ag.lgamma(ag.tensor([1.0, 4.0]))
    tensor([-4.4409e-16,  1.7918e+00])
log: The natural logarithm of x; -inf at 0, NaN below.
    ag.log(ag.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
log10: The logarithm of x to base 10; -inf at 0, NaN below.
    ag.log10(ag.tensor([1.0, 100.0]))
    tensor([0.0000, 2.0000])
log1p: log(1 + x), precise for small x.
    ag.log1p(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
log2: The logarithm of x to base 2; -inf at 0, NaN below.
    ag.log2(ag.tensor([1.0, 8.0]))
    tensor([0., 3.])
logaddexp:
    ag.logaddexp(ag.tensor([0.0]), ag.tensor([0.0]))
    tensor([0.6931])
logaddexp2:
    ag.logaddexp2(ag.tensor([1.0]), ag.tensor([1.0]))
    tensor([2.])
logical_and: Whether both are not zero, as bools.
    ag.logical_and(ag.tensor([0, 2]), ag.tensor([1, 3]))
    tensor([False, True])
logical_not: Whether x is zero, as bools.
    ag.logical_not(ag.tensor([0, 2]))
    tensor([True, False])
logical_or: Whether one or both are not zero, as bools.
    ag.logical_or(ag.tensor([0, 2]), ag.tensor([0, 0]))
    tensor([False, True])
logical_xor: Whether just one is not zero, as bools.
    ag.logical_xor(ag.tensor([0, 2]), ag.tensor([1, 3]))
    tensor([True, False])
lt: Whether input < other, element by element, as bools.
    ag.lt(ag.tensor([1, 2]), 2)
    tensor([True, False])
maximum: The greater of both, element by element; NaN where one is NaN. Ties share the gradient.
    ag.maximum(ag.tensor([1, 5]), ag.tensor([3, 2]))
    tensor([3, 5])
minimum: The lesser of both, element by element; NaN where one is NaN. Ties share the gradient.
    ag.minimum(ag.tensor([1, 5]), ag.tensor([3, 2]))
    tensor([1, 2])
mul: input * other, with broadcasting and type promotion.
    ag.mul(ag.tensor([1, 2]), 1.5)
    tensor([1.5000, 3.0000])
ne: Whether input and other differ, element by element, as bools.
    ag.ne(ag.tensor([1, 2]), 2)
    tensor([True, False])
neg: -x.
    ag.neg(ag.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
ones_like:
    ag.ones_like(ag.tensor([1, 2]))
    tensor([1, 1])
reciprocal: 1 / x.
    ag.reciprocal(ag.tensor([2.0, -4.0]))
    tensor([ 0.5000, -0.2500])
relu: max(x, 0); the gradient at 0 is 0.
    ag.relu(ag.tensor([-1.0, 2.0]))
    tensor([0., 2.])
rsqrt: 1 / sqrt(x); NaN below 0.
    ag.rsqrt(ag.tensor([4.0, 0.25]))
    tensor([0.5000, 2.0000])
select_copy:
    ag.select_copy(ag.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([3, 4])
sigmoid: 1 / (1 + e^-x).
    ag.sigmoid(ag.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
sign:
    ag.sign(ag.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
sin: The sine of x, in radians.
    ag.sin(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
sinc:
    ag.sinc(ag.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
sinh: (e^x - e^-x) / 2.
    ag.sinh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
split_copy:
    ag.split_copy(ag.tensor([1, 2, 3]), 2)
    (tensor([1, 2]), tensor([3]))
sqrt: The square root of x; NaN below 0.
    ag.sqrt(ag.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
tan: The tangent of x, in radians.
    ag.tan(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
tanh: (e^x - e^-x) / (e^x + e^-x).
    ag.tanh(ag.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
true_divide: input / other; integers are converted to the default floating-point dtype.
    ag.true_divide(ag.tensor([1, 3]), 2)
    tensor([0.5000, 1.5000])
trunc:
    ag.trunc(ag.tensor([1.7, -1.7]))
    tensor([ 1., -1.])
unbind_copy:
    ag.unbind_copy(ag.tensor([1, 2]))
    (tensor(1), tensor(2))
xlogy:
    ag.xlogy(ag.tensor([0.0, 2.0]), ag.tensor([0.0, 2.0]))
    tensor([0.0000, 1.3863])
zeros_like:
    ag.zeros_like(ag.tensor([1, 2]))
    tensor([0, 0])
"""

# Members of Tensor alone.
_MEMBERS = """
H: A matrix transposed, as its conjugate transpose is for real numbers.
    ag.ones(2, 3).H.shape
    ag.Size([3, 2])
T: The dimensions in reverse order: a matrix transposed.
    ag.ones(2, 3).T.shape
    ag.Size([3, 2])
bool:
    ag.tensor([0, 2]).bool()
    tensor([False, True])
byte:
    ag.tensor([1.5]).byte()
    tensor([1], dtype=ag.uint8)
char:
    ag.tensor([1.5]).char()
    tensor([1], dtype=ag.int8)
cpu:
    ag.ones(2).cpu().device
    device(type='cpu')
data:
    ag.ones(1, requires_grad=True).data
    tensor([1.])
data_ptr:
    ag.ones(1).data_ptr() > 0
    True
detach:
    ag.ones(1, requires_grad=True).detach().requires_grad
    False
device: Where the tensor lies.
    ag.ones(2, device="cpu").device
    device(type='cpu')
dim: The number of dimensions.
    ag.ones(2, 3).dim()
    2
double:
    ag.tensor([1, 2]).double()
    tensor([1., 2.], dtype=ag.float64)
dtype: The type of the elements.
    ag.tensor([1, 2]).dtype
    ag.int64
element_size: The bytes of one element.
    ag.ones(2).element_size()
    4
expand_as:
    ag.ones(1).expand_as(ag.ones(2, 3)).shape
    ag.Size([2, 3])
fill_diagonal_:
    ag.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
float:
    ag.tensor([1, 2]).float()
    tensor([1., 2.])
grad:
    ag.ones(1).grad is None
    True
grad_fn: The node of the graph that made this tensor; None for a leaf.
    ag.ones(2).grad_fn is None
    True
half:
    ag.tensor([1.5]).half()
    tensor([1.5000], dtype=ag.float16)
int:
    ag.tensor([1.5]).int()
    tensor([1], dtype=ag.int32)
is_complex: False: there are no complex tensors.
    ag.ones(2).is_complex()
    False
is_contiguous: Whether the elements lie in memory one after the other, the last index the fastest.
    ag.ones(2, 3).t().is_contiguous()
    False
is_cpu: Whether the tensor lies in host memory.
    ag.ones(2, device="cpu").is_cpu
    True
is_cuda: Whether the tensor lies on a CUDA device.
    ag.ones(2, device="cpu").is_cuda
    False
is_floating_point: Whether the dtype is a floating-point one.
    ag.tensor([1, 2]).is_floating_point()
    False
is_inference: Whether the tensor was made in inference mode.
    ag.ones(2).is_inference()
    False
is_leaf: Whether no recorded operation made this tensor.
    ag.ones(2, requires_grad=True).is_leaf
    True
is_set_to:
    ag.ones(1).is_set_to(ag.ones(1))
    False
item:
    ag.tensor(1.5).item()
    1.5
itemsize: The bytes of one element.
    ag.ones(2).itemsize
    4
long:
    ag.tensor([1.5]).long()
    tensor([1])
mT: The last two dimensions exchanged.
    ag.ones(4, 2, 3).mT.shape
    ag.Size([4, 3, 2])
name: None: tensors have no name.
    ag.ones(2).name is None
    True
nbytes: The bytes of all elements.
    ag.ones(2).nbytes
    8
ndim: The number of dimensions.
    ag.ones(2, 3).ndim
    2
ndimension: The number of dimensions.
    ag.ones(2, 3).ndimension()
    2
nelement: The number of elements.
    ag.ones(2, 3).nelement()
    6
new_empty:
    ag.ones(2).new_empty(3).shape
    ag.Size([3])
new_full:
    ag.tensor([1, 2]).new_full((2,), 7)
    tensor([7, 7])
new_ones:
    ag.tensor([1, 2]).new_ones(3)
    tensor([1, 1, 1])
new_tensor:
    ag.ones(2, dtype=ag.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=ag.float64)
new_zeros:
    ag.tensor([1, 2]).new_zeros(3)
    tensor([0, 0, 0])
numel: The number of elements.
    ag.ones(2, 3).numel()
    6
numpy:
    ag.tensor([1, 2]).numpy()
    array([1, 2])
output_nr: Which output of its `grad_fn` this tensor is.
    ag.ones(2).output_nr
    0
polygamma:
    ag.tensor([1.0]).polygamma(1)
    tensor([1.6449])
real: The tensor itself: there are no complex ones.
    ag.ones(2).real
    tensor([1., 1.])
repeat:
    ag.tensor([1, 2]).repeat(2)
    tensor([1, 2, 1, 2])
requires_grad: Whether gradients are computed for this tensor; can be assigned for a leaf.
    ag.ones(2).requires_grad
    False
requires_grad_:
    ag.ones(1).requires_grad_()
    tensor([1.], requires_grad=True)
reshape_as:
    ag.ones(6).reshape_as(ag.ones(2, 3)).shape
    ag.Size([2, 3])
resize_:
    ag.tensor([1, 2, 3]).resize_(2)
    tensor([1, 2])
retains_grad: Whether `retain_grad` was called, so that a tensor that is no leaf keeps its gradient.
    ag.ones(2).retains_grad
    False
shape: The sizes of the dimensions.
    ag.ones(2, 3).shape
    ag.Size([2, 3])
short:
    ag.tensor([1.5]).short()
    tensor([1], dtype=ag.int16)
size:
    ag.ones(2, 3).size(1)
    3
storage_offset:
    ag.arange(4)[2:].storage_offset()
    2
stride:
    ag.ones(2, 3).stride()
    (3, 1)
to:
    ag.tensor([1, 2]).to(ag.float64)
    tensor([1., 2.], dtype=ag.float64)
tolist:
    ag.tensor([[1], [2]]).tolist()
    [[1], [2]]
type:
    ag.ones(2).type(ag.int64)
    tensor([1, 1])
type_as:
    ag.ones(2).type_as(ag.tensor(1))
    tensor([1, 1])
unfold:
    ag.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
view:
    ag.ones(6).view(2, 3).shape
    ag.Size([2, 3])
view_as:
    ag.ones(6).view_as(ag.ones(2, 3)).shape
    ag.Size([2, 3])
where: `self` where `condition` is true, else `other`.
    ag.tensor([1, 2]).where(ag.tensor([True, False]), 0)
    tensor([1, 0])
"""


def _entries(table: str) -> Iterator[tuple[str, str, str]]:
    """Name, text and example of each entry."""
    for name, text, code, printed in re.findall(r"^(\w+):(.*)\n    (.*)\n((?:    .*\n)+)", table, re.MULTILINE):
        example = f"    >>> import autograd_core as ag\n    >>> {code.strip()}\n{printed}"
        yield name, text.strip(), example


# The examples, where doctest looks for them.
__test__ = {
    f"{kind}.{name}": example
    for kind, table in (("ag", _FUNCTIONS), ("Tensor", _MEMBERS))
    for name, _, example in _entries(table)
}


def _add(thing: Any, text: str, example: str) -> None:
    if thing is not None and ">>>" not in (thing.__doc__ or ""):
        thing.__doc__ = f"{(thing.__doc__ or text).rstrip()}\n\n{example.rstrip()}"


def attach(exported: dict[str, Any]) -> None:
    """Give the functions `exported` and the members of Tensor their docstrings."""
    for name, text, example in _entries(_FUNCTIONS):
        _add(exported.get(name), text, example)
        _add(Tensor.__dict__.get(name), text, example)
    for name, text, example in _entries(_MEMBERS):
        _add(Tensor.__dict__[name], text, example)
