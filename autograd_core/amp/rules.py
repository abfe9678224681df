"""Which operations autocast casts, and to what: PyTorch's lists for CUDA and for the CPU.

An operation that is in neither list runs as it is. A kind of device that was registered from outside has CUDA's rules.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any

from autograd_core.amp.dispatch import ASIDE, FLOAT32, LOWER, MIXED, OWN_DTYPE, PROMOTE, REFUSED, WITHIN, Rule

# Names are those of `ag`, of `nn.functional`, of a method, or, with the prefix linalg_, of `linalg`.
_PRODUCTS = (
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d prelu addmm matmul mm linalg_vecdot "
    "linear addbmm baddbmm bmm scaled_dot_product_attention multi_head_attention_forward"
)
_LOSSES = (
    "poisson_nll_loss cosine_embedding_loss nll_loss hinge_embedding_loss kl_div l1_loss smooth_l1_loss huber_loss "
    "mse_loss margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss "
    "binary_cross_entropy_with_logits cdist"
)
# One operation in PyTorch, which runs as it is; here it is made of listed ones.
_WHOLE = (
    "adaptive_avg_pool1d adaptive_avg_pool2d mish logsigmoid mvlgamma logit std var var_mean std_mean nanmean nansum "
    "ldexp native_group_norm native_batch_norm linalg_pinv special_log_ndtr"
)
CUDA: dict[int, str] = {
    LOWER: f"{_PRODUCTS} addmv addr einsum mv chain_matmul linalg_multi_dot",
    FLOAT32: f"{_LOSSES} acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow __rpow__ "
    "softplus layer_norm rms_norm group_norm cosine_similarity dist pdist renorm logsumexp norm "
    "native_layer_norm cross_entropy square",
    OWN_DTYPE: "prod softmax log_softmax softmin cumprod cumsum sum linalg_vector_norm linalg_matrix_norm",
    PROMOTE: "addcdiv addcmul atan2 bilinear cross dot vdot grid_sample index_put tensordot scatter_add",
    MIXED: "batch_norm instance_norm",
    ASIDE: f"{_WHOLE} adaptive_avg_pool3d trace cholesky_inverse linalg_lstsq",
    REFUSED: "binary_cross_entropy",
}
CPU: dict[int, str] = {
    LOWER: _PRODUCTS,
    FLOAT32: f"{_LOSSES} cross_entropy avg_pool3d binary_cross_entropy grid_sample prod quantile nanquantile trace "
    "cholesky cholesky_inverse cholesky_solve inverse lu_solve pinverse max_unpool1d max_unpool2d max_unpool3d "
    "adaptive_avg_pool3d ctc_loss fractional_max_pool2d fractional_max_pool3d adaptive_max_pool3d qr svd "
    "triangular_solve linalg_cond linalg_matrix_rank linalg_solve linalg_cholesky linalg_cholesky_ex linalg_svd "
    "linalg_svdvals linalg_eigh linalg_eigvalsh linalg_inv linalg_inv_ex linalg_lstsq linalg_qr linalg_tensorinv "
    "linalg_tensorsolve",
    PROMOTE: "stack cat index_copy",
    MIXED: "batch_norm instance_norm layer_norm group_norm",
    ASIDE: f"{_WHOLE} addmv dot vdot mv inner bilinear",
}


def _option(name: str, position: int, args: tuple[Any, ...], kwargs: dict[str, Any], default: Any) -> Any:
    return kwargs.get(name, args[position] if len(args) > position else default)


def _interpolate(*args: Any, **kwargs: Any) -> int | None:
    return None if _option("mode", 3, args, kwargs, "nearest") == "area" else FLOAT32


def _interpolate_on_cpu(*args: Any, **kwargs: Any) -> int | None:
    return None if _option("mode", 3, args, kwargs, "nearest") == "area" else ASIDE


def _pad_on_cpu(*args: Any, **kwargs: Any) -> int | None:
    mode, sizes = _option("mode", 2, args, kwargs, "constant"), tuple(_option("pad", 1, args, kwargs, ()))
    return FLOAT32 if mode == "replicate" or (mode == "reflect" and len(sizes) <= 4) else None


def _max_pool3d_on_cpu(*args: Any, **kwargs: Any) -> int | None:
    return ASIDE if _option("return_indices", 6, args, kwargs, False) else FLOAT32


# Those whose rule depends on their arguments, and what is no public function.
_SPECIAL: dict[str, Rule] = {
    "interpolate": {"": _interpolate, "cpu": _interpolate_on_cpu},
    "upsample": {"": _interpolate, "cpu": _interpolate_on_cpu},
    "pad": {"cpu": _pad_on_cpu},
    "max_pool3d": {"cpu": _max_pool3d_on_cpu},
}
_INNER: dict[str, Rule] = {
    "autograd_core.inplace:update": {"": ASIDE, "cpu": ASIDE},
    "autograd_core.ops.out:_into": {"": ASIDE, "cpu": ASIDE},
    "autograd_core.autograd:_walk": {"": ASIDE, "cpu": ASIDE},
    "autograd_core.nn.recurrent:RNNBase._scan": {"": WITHIN, "cpu": None},
    "autograd_core.nn.recurrent:RNNCellBase._step": {"": WITHIN, "cpu": None},
}


def functions() -> dict[types.FunctionType, Rule]:
    """The functions that autocast stands before, with their rules."""
    table: dict[str, Rule] = {}
    for kind, lists in (("", CUDA), ("cpu", CPU)):
        for action, names in lists.items():
            for name in names.split():
                table.setdefault(name, {"cpu": None})[kind] = action
    found: dict[types.FunctionType, Rule] = {}
    for name, rule in (*table.items(), *_SPECIAL.items()):
        for function in _named(name):
            found[function] = rule
    for path, rule in _INNER.items():
        module, _, name = path.partition(":")
        found[attrgetter(name)(import_module(module))] = rule
    return found


def _named(name: str) -> Iterator[types.FunctionType]:
    """The functions behind a name, below what only handles `out=` or NumPy's names of arguments."""
    import autograd_core as ag
    from autograd_core import linalg, special
    from autograd_core.nn import functional
    from autograd_core.primitive import V

    places: tuple[Any, ...] = (vars(V), vars(ag), vars(functional), vars(ag.Tensor))
    if name.startswith("linalg_"):
        name, places = name.removeprefix("linalg_"), (vars(linalg),)
    elif name.startswith("special_"):
        name, places = name.removeprefix("special_"), (vars(special),)
    for place in places:
        function: Any = place.get(name)
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        if isinstance(function, types.FunctionType) and not _takes_out(function):
            yield function


def _takes_out(function: types.FunctionType) -> bool:
    return function.__kwdefaults__ is not None and "out" in function.__kwdefaults__
