"""NumPy's argument names, which PyTorch takes as well: `axis` for `dim`, `keepdims` for `keepdim`.

`sum` and `mean` name them in their own arguments, since a wrapper is a tenth of their time; the others get one here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

NAMES = (
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cat", "concat", "concatenate", "count_nonzero",
    "cumprod", "cumsum", "diff", "gather", "index_select", "log_softmax", "logsumexp", "max", "median", "min",
    "nanmean", "nansum", "prod", "softmax", "sort", "split", "squeeze", "stack",
    "std", "std_mean", "take_along_dim", "topk", "unbind", "unsqueeze", "var", "var_mean",
)  # fmt: skip
_MEANT = {"axis": "dim", "keepdims": "keepdim"}


def accepting(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called with NumPy's names too."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            options = {_MEANT.get(key, key): value for key, value in options.items()}
        return function(*args, **options)

    return call
