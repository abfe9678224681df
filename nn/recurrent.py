"""Recurrent networks: plain, LSTM and GRU, as layers over sequences and as cells of one step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import autograd_core as ag
from autograd_core import Tensor
from autograd_core.nn import functional as F
from autograd_core.nn import init
from autograd_core.nn.module import Module
from autograd_core.nn.parameter import Parameter
from autograd_core.nn.utils.rnn import PackedSequence, pad_packed_sequence
from autograd_core.ops.recurrent import parts, recurrent, step

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` share."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                f"{name}: dropout should be a number in range [0, 1], the probability of an element being zeroed, got "
                f"{dropout!r}"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout is added after all but the last layer, so dropout={dropout} has no effect with "
                "num_layers=1",
                stacklevel=3,
            )
        for what, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int):
                raise TypeError(f"{name}: {what} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{name}: {what} must be greater than zero, got {value}")
        for what, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name}: {what} should be of type bool, got: {type(flag).__name__}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size has to be in [0, hidden_size={hidden_size}), got {proj_size}")
        if proj_size and mode != "LSTM":
            raise ValueError(f"{name}: proj_size argument is only supported for LSTM, not RNN or GRU")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions = 2 if bidirectional else 1
        gates, out = _GATES[mode] * hidden_size, proj_size or hidden_size
        self._names: list[list[str]] = []
        for layer in range(num_layers):
            shapes: list[tuple[str, tuple[int, ...]]] = [
                ("weight_ih", (gates, input_size if layer == 0 else out * directions)),
                ("weight_hh", (gates, out)),
            ]
            if bias:
                shapes += [("bias_ih", (gates,)), ("bias_hh", (gates,))]
            if proj_size:
                shapes.append(("weight_hr", (proj_size, hidden_size)))
            for suffix in ("", "_reverse")[:directions]:
                self._names.append([f"{what}_l{layer}{suffix}" for what, _ in shapes])
                for what, shape in shapes:
                    self.register_parameter(
                        f"{what}_l{layer}{suffix}", Parameter(ag.empty(shape, device=device, dtype=dtype))
                    )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """For PyTorch's sake: the parameters need no special layout here."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        packed = isinstance(input, PackedSequence)
        name = type(self).__name__
        if packed:
            x, lengths = pad_packed_sequence(PackedSequence(input.data, input.batch_sizes))
        else:
            if input.ndim not in (2, 3):
                raise ValueError(
                    f"{name}: Expected input to be 2D or 3D, got {input.ndim}D of shape {tuple(input.shape)}"
                )
            x = input
        single = x.ndim == 2
        if single:
            x = x.unsqueeze(1)
        elif self.batch_first and not packed:
            x = x.transpose(0, 1)
        if x.dtype is not self.weight_ih_l0.dtype:
            raise ValueError(f"{name}: the input has {x.dtype}, the weights {self.weight_ih_l0.dtype}; use .to(dtype)")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]} in "
                f"an input of shape {tuple(input.data.shape if packed else input.shape)}"
            )
        steps, n = x.shape[0], x.shape[1]
        if not steps:
            raise RuntimeError(f"{name}: expected sequence length to be larger than 0")
        order = input.sorted_indices if packed else None
        state = self._initial(x, hx, n, single, order)
        mask = None
        if packed:
            mask = lengths.to(x.device).reshape(1, n) > ag.arange(steps, device=x.device).reshape(steps, 1)
        x, final = self._run(x, state, mask)
        if packed:
            rows = x.reshape(steps * n, x.shape[2])
            active = [int(size) for size in input.batch_sizes.tolist()]
            index = [t * n + i for t in range(steps) for i in range(active[t])]
            data = rows.index_select(0, ag.tensor(index, device=x.device))
            out: Any = PackedSequence(data, *input[1:])
            if input.unsorted_indices is not None:
                final = tuple(s.index_select(1, input.unsorted_indices) for s in final)
        else:
            out = x.squeeze(1) if single else x.transpose(0, 1) if self.batch_first else x
        if single:
            final = tuple(s.squeeze(1) for s in final)
        return out, final if self.mode == "LSTM" else final[0]

    def _initial(self, x: Tensor, hx: Any, n: int, single: bool, order: Tensor | None) -> tuple[Tensor, ...]:
        """The state before the first step: (layers * directions, N, size) for h, and for c."""
        count = len(self._names)
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]
        if hx is None:
            return tuple(x.new_zeros((count, n, size)) for size in sizes)
        given = tuple(hx) if self.mode == "LSTM" else (hx,)
        if len(given) != len(sizes):
            raise RuntimeError(f"{type(self).__name__}: expected hx to be (h_0, c_0), got {len(given)} tensors")
        checked = []
        for t, size in zip(given, sizes):
            expected = (count, size) if single else (count, n, size)
            if tuple(t.shape) != expected:
                raise RuntimeError(
                    f"{type(self).__name__}: Expected hidden size {expected} for "
                    f"{'unbatched' if single else 'batched'} input, got {tuple(t.shape)}"
                )
            checked.append(t.unsqueeze(1) if single else t if order is None else t.index_select(1, order))
        return tuple(checked)

    def _run(self, x: Tensor, state: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        directions = 2 if self.bidirectional else 1
        starts = list(zip(*(parts(s, 0) for s in state), strict=True))
        finals = []
        for layer in range(self.num_layers):
            outputs = []
            for d in range(directions):
                k = layer * directions + d
                y, final = self._scan(x, starts[k], self._names[k], mask, backwards=d == 1)
                outputs.append(y)
                finals.append(final)
            x = outputs[0] if directions == 1 else ag.cat(outputs, 2)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(ag.stack(list(column)) for column in zip(*finals, strict=True))

    def _scan(
        self, x: Tensor, state: tuple[Tensor, ...], names: list[str], mask: Tensor | None, backwards: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction."""
        own: list[Any] = [getattr(self, name) for name in names]
        weights = (*own[:2], *(own[2:4] if self.bias else (None, None)))
        return recurrent(self.mode, x, state, weights, mask, backwards, own[-1] if self.proj_size else None)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu, in `num_layers` layers (Elman, 1990).

    input: (T, N, input_size), (N, T, input_size) if `batch_first`, (T, input_size), or a `PackedSequence`; h_0:
    (num_layers * directions, N, hidden_size), zeros unless given. Returns the last layer's states (T, N, directions *
    hidden_size) and the final ones of all layers. `dropout` acts between layers; `bidirectional` adds a second
    direction from the end. Raises `ValueError` or `RuntimeError` for shapes that do not fit.

    >>> import autograd_core as ag
    >>> output, h = ag.nn.RNN(10, 20, 2)(ag.zeros(5, 3, 10)); output.shape, h.shape
    (ag.Size([5, 3, 20]), ag.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: unknown nonlinearity {nonlinearity!r}: select from 'tanh' or 'relu'")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory: i, f, o = sigmoid and g = tanh of W_ih x_t + b_ih + W_hh h_(t-1) + b_hh, c_t = f c_(t-1)
    + i g, h_t = o tanh(c_t), projected to `proj_size` if that is not 0 (Hochreiter, Schmidhuber, 1997).

    Shapes as for `RNN`; the state is a pair (h, c), c always of hidden_size.

    >>> import autograd_core as ag
    >>> output, (h, c) = ag.nn.LSTM(10, 20, 2)(ag.zeros(5, 3, 10)); output.shape, c.shape
    (ag.Size([5, 3, 20]), ag.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype)
        super().__init__("LSTM", input_size, hidden_size, *options)


class GRU(RNNBase):
    """Gated recurrent units: r, z = sigmoid, n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h (Cho et
    al., 2014).

    Shapes as for `RNN`.

    >>> import autograd_core as ag
    >>> output, h = ag.nn.GRU(10, 20, bidirectional=True)(ag.zeros(5, 3, 10)); output.shape, h.shape
    (ag.Size([5, 3, 40]), ag.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        options = (num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        super().__init__("GRU", input_size, hidden_size, *options)


# -- cells ------------------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """What the cells share."""

    _mode = ""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: ag.dtype | None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = _GATES[self._mode or "RNN_TANH"] * hidden_size

        def empty(*shape: int) -> Parameter:
            return Parameter(ag.empty(shape, device=device, dtype=dtype))

        self.weight_ih = empty(gates, input_size)
        self.weight_hh = empty(gates, hidden_size)
        self.register_parameter("bias_ih", empty(gates) if bias else None)
        self.register_parameter("bias_hh", empty(gates) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _step(self, mode: str, input: Tensor, given: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D of shape {tuple(input.shape)}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{name}: input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}"
            )
        lead = tuple(input.shape[:-1])
        if given is None:
            given = (input.new_zeros((*lead, self.hidden_size)),) * (2 if mode == "LSTM" else 1)
        for t in given:
            if t.ndim not in (1, 2):
                raise ValueError(f"{name}: Expected hidden to be 1D or 2D, got {t.ndim}D of shape {tuple(t.shape)}")
            if tuple(t.shape) != (*lead, self.hidden_size):
                raise RuntimeError(
                    f"{name}: expected hidden of shape {(*lead, self.hidden_size)}, got {tuple(t.shape)}"
                )
        gx = F.linear(input, self.weight_ih, self.bias_ih)
        return step(mode, gx, given, (self.weight_hh, self.bias_hh, None))

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of `RNN`: input (N, input_size) or (input_size,), hidden likewise, zeros unless given.

    >>> import autograd_core as ag
    >>> ag.nn.RNNCell(10, 20)(ag.zeros(3, 10)).shape
    ag.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: ag.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: unknown nonlinearity {self.nonlinearity!r}: select from 'tanh' or 'relu'")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: input (N, input_size) or (input_size,) and (h, c) give the next (h, c).

    >>> import autograd_core as ag
    >>> h, c = ag.nn.LSTMCell(10, 20)(ag.zeros(3, 10)); c.shape
    ag.Size([3, 20])
    """

    _mode = "LSTM"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: ag.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._step("LSTM", input, None if hx is None else tuple(hx))
        return h, c


class GRUCell(RNNCellBase):
    """One step of `GRU`: input (N, input_size) or (input_size,), hidden likewise, zeros unless given.

    >>> import autograd_core as ag
    >>> ag.nn.GRUCell(10, 20)(ag.zeros(3, 10)).shape
    ag.Size([3, 20])
    """

    _mode = "GRU"

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: ag.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else (hx,))[0]
