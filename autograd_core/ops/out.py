"""`out=`: the functions of PyTorch that take it, and the one way in which they do.

The result is computed as always and then written into `out`. Only the names in `ag` take it, by a wrapper: operators,
methods and what is inside the library call the function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core import dtypes, modes
from autograd_core.tensor import Tensor

ELEMENTWISE = (
    "abs", "absolute", "acos", "acosh", "add", "addcdiv", "addcmul", "angle", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp", "clip", "conj_physical",
    "copysign", "cos", "cosh", "deg2rad", "digamma", "div", "divide", "eq", "erf", "erfc", "erfinv", "exp", "exp2",
    "expm1", "fix", "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "gcd", "ge", "greater",
    "greater_equal", "gt", "heaviside", "hypot", "i0", "isneginf", "isposinf", "lcm", "ldexp", "le", "lerp", "less",
    "less_equal", "lgamma", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "lt", "maximum", "minimum", "mul", "multiply", "mvlgamma", "nan_to_num", "ne",
    "neg", "negative", "nextafter", "not_equal", "polygamma", "pow", "rad2deg", "reciprocal", "remainder", "round",
    "rsqrt", "sgn", "sigmoid", "sign", "signbit", "sin", "sinc", "sinh", "sqrt", "square", "sub", "subtract", "tan",
    "tanh", "true_divide", "trunc", "where", "xlogy",
)  # fmt: skip
REDUCTIONS = (
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "cummax", "cummin", "cumprod", "cumsum", "kthvalue",
    "logcumsumexp", "logsumexp", "max", "mean", "median", "min", "mode", "nanmean", "nanmedian", "nanquantile",
    "nansum", "norm", "prod", "quantile", "std", "sum", "var",
)  # fmt: skip
ARRANGEMENT = (
    "bucketize", "cat", "column_stack", "concat", "concatenate", "diag", "diff", "dstack", "gather", "hstack",
    "index_add", "index_copy", "index_reduce", "index_select", "masked_select", "msort", "narrow_copy", "nonzero",
    "renorm", "scatter", "scatter_add", "scatter_reduce", "searchsorted", "sort", "stack", "take", "take_along_dim",
    "topk", "tril", "triu", "vstack",
)  # fmt: skip
PRODUCTS = (
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cholesky", "cholesky_inverse", "cholesky_solve", "cross",
    "dot", "inner", "inverse", "kron", "lu_solve", "matmul", "matrix_power", "mm", "mv", "outer", "qr", "svd",
    "triangular_solve", "vdot",
)  # fmt: skip
# What they make takes its dtype and device from `out`.
CREATION = (
    "arange", "empty", "eye", "full", "linspace", "logspace", "normal", "ones", "rand", "randint", "randn", "randperm",
    "range", "zeros",
)  # fmt: skip
OTHERS = ("bernoulli", "frexp", "histc", "histogram", "multinomial")
LINALG = (
    "cholesky", "cond", "cross", "det", "eigvalsh", "inv", "lu", "lu_factor", "lu_solve", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svdvals",
    "tensorinv", "tensorsolve", "vecdot", "vector_norm",
)  # fmt: skip
NAMES = (*ELEMENTWISE, *REDUCTIONS, *ARRANGEMENT, *PRODUCTS, *CREATION, *OTHERS)

# Their results are written only into tensors of the same dtype; those of the others into any that can hold them.
CAST = {"addr", "cholesky", "cholesky_inverse", "cholesky_solve", "kron", "outer"}
EXACT = {*PRODUCTS} - CAST | {
    "abs", "absolute", "all", "amax", "amin", "any", "argmax", "argmin", "bitwise_not", "bucketize", "ceil",
    "conj_physical", "diag", "fix", "float_power", "floor", "frac", "gather", "heaviside", "histc", "index_add",
    "index_copy", "index_reduce", "index_select", "isneginf", "isposinf", "logcumsumexp", "masked_select",
    "msort", "multinomial", "nan_to_num", "nanquantile", "narrow_copy", "neg", "negative", "nonzero", "norm",
    "quantile", "renorm", "round", "scatter", "scatter_add", "scatter_reduce", "searchsorted", "sgn", "sign", "signbit",
    "take", "take_along_dim", "tril", "triu", "trunc",
    "det", "eigvalsh", "inv", "matrix_norm", "multi_dot", "solve", "solve_triangular", "svdvals", "vecdot",
    "vector_norm",
}  # fmt: skip
# Their error for a dtype that does not fit is a `TypeError`.
JOINING = {"cat", "column_stack", "concat", "concatenate", "dstack", "hstack", "stack", "vstack"}


def _overlap(x: Any, target: Any) -> bool:
    """Whether both tensors lie on memory of the same owner."""
    return (
        isinstance(x, Tensor)
        and x._backend is target._backend
        and x._backend.storage_key(x._data) is target._backend.storage_key(target._data)
    )


def _into(name: str, function: Callable[..., Any], out: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    several = isinstance(out, tuple | list)
    targets: list[Any] = list(out) if several else [out]
    for t in targets:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: out must be a Tensor or a tuple of Tensors, got {type(t).__name__}")
    if name in CREATION:
        for key in ("dtype", "device"):
            options[key] = getattr(targets[0], key) if options.get(key) is None else options[key]
    asked = options.get("dtype")
    if asked is not None and dtypes.as_dtype(asked) is not targets[0].dtype:
        raise RuntimeError(f"{name}: dtype {asked} does not match the dtype of out, {targets[0].dtype}")
    if name == "cat" and any(_overlap(x, targets[0]) for x in args[0]):
        raise RuntimeError(
            "cat: some elements of the input tensors and of out refer to a single memory location; clone()"
        )
    made = function(*args, **options)
    results = list(made) if isinstance(made, tuple) else [made]
    if len(results) != len(targets):
        raise TypeError(f"{name}: out must hold {len(results)} tensors, got {len(targets)}")
    recording = modes.is_grad_enabled()
    for result, target in zip(results, targets):
        if recording and (result.requires_grad or target.requires_grad):
            raise RuntimeError(
                f"{name}: functions with out=... don't support automatic differentiation, but one of the arguments "
                "requires grad; leave out away, or use no_grad()"
            )
        if result._backend is not target._backend:
            raise RuntimeError(f"{name}: the result is on {result.device}, out on {target.device}; use .to()")
        exact = several or name in EXACT
        if result.dtype is not target.dtype and (exact or result.dtype.category > target.dtype.category):
            error = TypeError if name in JOINING else RuntimeError
            raise error(f"{name}: result type {result.dtype} can't be cast to the desired output type {target.dtype}")
        if result.shape != target.shape and target.numel():
            raise RuntimeError(
                f"{name}: the result has shape {tuple(result.shape)}, out {tuple(target.shape)}; pass an out of that "
                "shape, or an empty one, which is resized"
            )
    with modes.no_grad():
        for result, target in zip(results, targets):
            if result.shape != target.shape:
                target.resize_(result.shape)
            target.copy_(result)
    if not several:
        return out
    return type(made)(*targets) if hasattr(made, "_fields") else tuple(targets)


def accepting(name: str, function: Callable[..., Any], module: str = "autograd_core") -> Callable[..., Any]:
    """`function` with an argument `out`, under the name it has in `module`."""
    made: Any
    if not hasattr(function, "primitive"):

        def general(*args: Any, out: Any = None, **options: Any) -> Any:
            return function(*args, **options) if out is None else _into(name, function, out, args, options)

        made = general
        made.__wrapped__ = function  # `help` shows the function's own arguments.

    # A primitive takes one or two tensors; to pass on just these costs a third of passing on `*args`.
    elif function.__code__.co_argcount == 1:

        def unary(input: Any, *, out: Any = None) -> Any:
            return function(input) if out is None else _into(name, function, out, (input,), {})

        made = unary
    else:

        def binary(input: Any, other: Any, *, out: Any = None) -> Any:
            return function(input, other) if out is None else _into(name, function, out, (input, other), {})

        made = binary
    made.__name__ = made.__qualname__ = name
    made.__doc__, made.__module__ = function.__doc__, module
    return made
