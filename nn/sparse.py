"""Embedding and EmbeddingBag."""

from __future__ import annotations

from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn import init
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter


class Embedding(Module):
    """A table of `num_embeddings` vectors of size `embedding_dim`, looked up by integer index.

    Input: integers (*); output (*, embedding_dim). weight starts standard normal. padding_idx: a row that starts at
    zero and gets no gradient. max_norm: rows looked up whose `norm_type`-norm exceeds it are scaled down, in place.
    scale_grad_by_freq: a row's gradient is divided by how often the input names it. Raises `IndexError` for an index
    outside the table, `NotImplementedError` for `sparse=True`.

    >>> import autograd_core as ag
    >>> ag.nn.Embedding(10, 3)(ag.tensor([[1, 2], [4, 3]])).shape
    ag.Size([2, 2, 3])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        _no_sparse(self, sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = _row(self, padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self.weight = _table(self, _weight, not _freeze, device, dtype)
        if _weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        _draw(self.weight, self.padding_idx)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table with the rows of `embeddings` (num_embeddings, embedding_dim), not trained unless freeze=False."""
        rows, size = _pretrained("Embedding", embeddings)
        return cls(
            rows, size, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze
        )

    def extra_repr(self) -> str:
        return _described(self, ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq"))


class EmbeddingBag(Module):
    """Sums, means or maxima of bags of rows of a table, as `functional.embedding_bag`.

    Input: integers (B, N), or (L,) with offsets (B,) where each bag begins; output (B, embedding_dim). mode: 'sum',
    'mean' or 'max'. include_last_offset: the last offset is where the last bag ends. padding_idx: a row that starts at
    zero, does not count and gets no gradient. max_norm, norm_type, scale_grad_by_freq: see `Embedding`. Raises as
    `functional.embedding_bag` does, and `ValueError` for a padding_idx that is no row.

    >>> import autograd_core as ag
    >>> ag.nn.EmbeddingBag(10, 3, mode="sum")(ag.tensor([1, 2, 4, 5, 4]), ag.tensor([0, 2])).shape
    ag.Size([2, 3])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        _no_sparse(self, sparse)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = _row(self, padding_idx, num_embeddings)
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset
        self.weight = _table(self, _weight, True, device, dtype)
        if _weight is None:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        _draw(self.weight, self.padding_idx)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
            self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A table with the rows of `embeddings` (num_embeddings, embedding_dim), not trained unless freeze=False."""
        rows, size = _pretrained("EmbeddingBag", embeddings)
        bag = cls(
            rows, size, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
            padding_idx,
        )  # fmt: skip
        bag.weight.requires_grad = not freeze
        return bag

    def extra_repr(self) -> str:
        text = _described(self, ("max_norm", "norm_type", "scale_grad_by_freq"))
        text += f", mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"


# -- what both share ----------------------------------------------------------------------------------------


def _no_sparse(module: Module, sparse: bool) -> None:
    if sparse:
        raise NotImplementedError(
            f"{type(module).__name__}: sparse=True is not supported, gradients are dense; leave it False"
        )


def _row(module: Module, padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{type(module).__name__}: padding_idx {padding_idx} is not a row of a table of {rows}")
    return padding_idx % rows


def _table(module: Any, given: Tensor | None, trained: bool, device: Any, dtype: ag.dtype | None) -> Parameter:
    shape = (module.num_embeddings, module.embedding_dim)
    if given is None:
        return Parameter(ag.empty(shape, device=device, dtype=dtype), requires_grad=trained)
    if tuple(given.shape) != shape:
        raise ValueError(f"{type(module).__name__}: the given weight has shape {tuple(given.shape)}, expected {shape}")
    return Parameter(given, requires_grad=trained)


def _draw(weight: Tensor, padding_idx: int | None) -> None:
    init.normal_(weight)
    if padding_idx is not None:
        with ag.no_grad():
            weight[padding_idx] = 0


def _pretrained(name: str, embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise ValueError(f"{name}.from_pretrained expects a 2-d tensor, got shape {tuple(embeddings.shape)}")
    return embeddings.shape[0], embeddings.shape[1]


def _described(module: Any, options: tuple[str, ...]) -> str:
    defaults = {"padding_idx": None, "max_norm": None, "norm_type": 2, "scale_grad_by_freq": False}
    parts = [f"{module.num_embeddings}, {module.embedding_dim}"]
    parts += [f"{name}={getattr(module, name)}" for name in options if getattr(module, name) != defaults[name]]
    return ", ".join(parts)
