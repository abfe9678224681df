"""Recurrent layers and cells beside PyTorch's: text, state, outputs and gradients, padded and packed; and bad input."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from test_layers import assert_close, transfer

import autograd_core as ag
from autograd_core import nn
from autograd_core.ops import recurrent as ops

# name, what makes the layer (from ag.nn or torch.nn)
LAYERS: list[tuple[str, Callable[[Any], Any]]] = [
    ("rnn", lambda nn: nn.RNN(3, 4)),
    ("rnn relu, 2 layers", lambda nn: nn.RNN(3, 4, 2, "relu", bias=False)),
    ("lstm", lambda nn: nn.LSTM(3, 4)),
    ("lstm all", lambda nn: nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, proj_size=2)),
    ("gru", lambda nn: nn.GRU(3, 4, 2, batch_first=True)),
    ("gru both ways", lambda nn: nn.GRU(3, 4, bias=False, bidirectional=True)),
]


def same_text_and_state(mine: Any, theirs: Any) -> None:
    assert repr(mine) == repr(theirs)
    state, expected = mine.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in expected.values()]
    transfer(mine, theirs)


def flat(result: Any) -> list[Any]:
    """The tensors of a layer's result, from left to right."""
    if result is None:
        return []
    if not isinstance(result, tuple):
        return [result]
    return [t for part in result for t in flat(part)]


def compare_gradients(torch: Any, mine: Any, theirs: Any, inputs: list[tuple[Any, Any]]) -> None:
    for i, (a, x) in enumerate(inputs):
        assert_close(torch, a.grad, x.grad, f"gradient of input {i}", "float64")
    for (key, p), q in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert_close(torch, p.grad, q.grad, f"gradient of {key}", "float64")


@pytest.mark.parametrize(("name", "make"), LAYERS, ids=[layer[0] for layer in LAYERS])
@pytest.mark.parametrize("kind", ["batch", "batch with state", "single", "packed", "packed unsorted"])
def test_layer_equals_pytorchs(name: str, make: Callable[[Any], Any], kind: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs, mine = make(torch.nn).double(), make(nn).double()
    same_text_and_state(mine, theirs)

    shape = (5, 3) if kind == "single" else (4, 5, 3) if theirs.batch_first else (5, 4, 3)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    a = ag.tensor(x.detach().numpy(), requires_grad=True)
    pairs = [(a, x)]
    state: Any = None
    hidden: Any = None
    if kind == "batch with state":
        count = theirs.num_layers * (2 if theirs.bidirectional else 1)
        sizes = [theirs.proj_size or 4, 4] if theirs.mode == "LSTM" else [4]
        state = [torch.randn(count, 4, size, dtype=torch.float64, requires_grad=True) for size in sizes]
        hidden = [ag.tensor(s.detach().numpy(), requires_grad=True) for s in state]
        pairs += zip(hidden, state)
        state, hidden = (state, hidden) if theirs.mode == "LSTM" else (state[0], hidden[0])
    one, other = x, a
    if "packed" in kind:
        lengths = [3, 5, 1, 4] if "unsorted" in kind else [5, 4, 4, 1]
        options = (lengths, theirs.batch_first, "unsorted" not in kind)
        one = torch.nn.utils.rnn.pack_padded_sequence(x, *options)
        other = nn.utils.rnn.pack_padded_sequence(a, *options)
    y, b = theirs(one, state), mine(other, hidden)
    results = [(v, w) for v, w in zip(flat(tuple(b)), flat(tuple(y)), strict=True)]
    for i, (v, w) in enumerate(results):
        assert_close(torch, v, w, f"output {i}", "float64")
    weights = [torch.randn_like(w) if w.is_floating_point() else None for _, w in results]
    sum((w * g).sum() for (_, w), g in zip(results, weights) if g is not None).backward()
    sum((v * ag.tensor(g.numpy())).sum() for (v, _), g in zip(results, weights) if g is not None).backward()
    compare_gradients(torch, mine, theirs, pairs)


CELLS: list[tuple[str, Callable[[Any], Any]]] = [
    ("rnn", lambda nn: nn.RNNCell(3, 4)),
    ("rnn relu", lambda nn: nn.RNNCell(3, 4, bias=False, nonlinearity="relu")),
    ("lstm", lambda nn: nn.LSTMCell(3, 4)),
    ("gru", lambda nn: nn.GRUCell(3, 4, bias=False)),
]


@pytest.mark.parametrize(("name", "make"), CELLS, ids=[c[0] for c in CELLS])
@pytest.mark.parametrize("lead", [(), (5,)])
def test_cell_equals_pytorchs(name: str, make: Callable[[Any], Any], lead: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    torch.manual_seed(0)
    theirs, mine = make(torch.nn).double(), make(nn).double()
    same_text_and_state(mine, theirs)
    x = torch.randn(*lead, 3, dtype=torch.float64, requires_grad=True)
    a = ag.tensor(x.detach().numpy(), requires_grad=True)
    y, b = theirs(x), mine(a)
    for _ in range(2):
        y, b = theirs(x, y), mine(a, b)
    for v, w in zip(flat(b), flat(y), strict=True):
        assert_close(torch, v, w, "state", "float64")
    sum((w * w).sum() for w in flat(y)).backward()
    sum((v * v).sum() for v in flat(b)).backward()
    compare_gradients(torch, mine, theirs, [(a, x)])


@pytest.mark.parametrize("make", [lambda: nn.LSTM(2, 3), lambda: nn.GRU(2, 3), lambda: nn.RNN(2, 3)])
def test_gradients_of_gradients(make: Callable[[], Any]) -> None:
    ag.manual_seed(0)
    layer = make().double()
    x = ag.randn(3, 2, 2, dtype=ag.float64).requires_grad_()
    assert ag.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


def test_a_step_nobody_reads_has_gradient_zero() -> None:
    layer = nn.RNN(2, 3)
    x = ag.randn(4, 1, 2).requires_grad_()
    layer(x)[0][1].sum().backward()
    assert x.grad[:2].abs().sum().item() > 0
    assert x.grad[2:].abs().sum().item() == 0


def test_dropout_between_layers_in_training_only() -> None:
    ag.manual_seed(0)
    layer = nn.GRU(3, 4, 2, dropout=0.5)
    x = ag.randn(5, 2, 3)
    assert not ag.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert ag.equal(layer(x)[0], layer(x)[0])
    with pytest.warns(UserWarning, match="no effect"):
        nn.GRU(3, 4, dropout=0.5)


def test_sequences_packed_and_padded() -> None:
    rnn = nn.utils.rnn
    sequences = [ag.tensor([1.0, 2.0]), ag.tensor([3.0, 4.0, 5.0]), ag.tensor([6.0])]
    assert rnn.pad_sequence(sequences, True, -1.0).tolist() == [[1, 2, -1], [3, 4, 5], [6, -1, -1]]
    assert rnn.pad_sequence(sequences, True, padding_side="left").tolist() == [[0, 1, 2], [3, 4, 5], [0, 0, 6]]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    assert packed.data.tolist() == [3, 1, 6, 4, 2, 5]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert [s.tolist() for s in rnn.unpack_sequence(packed)] == [s.tolist() for s in sequences]
    padded, lengths = rnn.pad_packed_sequence(packed, padding_value=9.0, total_length=4)
    assert padded.tolist() == [[1, 3, 6], [2, 4, 9], [9, 5, 9], [9, 9, 9]]
    assert lengths.tolist() == [2, 3, 1]


def pack(*args: Any, **options: Any) -> Any:
    return nn.utils.rnn.pack_padded_sequence(*args, **options)


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: nn.LSTM(3, 4)(ag.zeros(2, 3, 4, 5)), ValueError, ("2D or 3D", "4D")),
    (lambda: nn.LSTM(3, 4)(ag.zeros(2, 3, 4)), RuntimeError, ("Expected 3", "got 4")),
    (lambda: nn.GRU(3, 4)(ag.zeros(0, 2, 3)), RuntimeError, ("length", "larger than 0")),
    (lambda: nn.GRU(3, 4)(ag.zeros(5, 2, 3), ag.zeros(1, 3, 4)), RuntimeError, ("(1, 2, 4)", "(1, 3, 4)")),
    (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, ("gelu", "tanh")),
    (lambda: nn.RNN(3, 4, dropout=1.5), ValueError, ("1.5", "[0, 1]")),
    (lambda: nn.RNN(3, 0), ValueError, ("greater than zero",)),
    (lambda: nn.RNN(3, 4.0), TypeError, ("hidden_size", "float")),  # type: ignore[arg-type]
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, ("proj_size", "4")),
    (lambda: nn.LSTMCell(3, 4)(ag.zeros(1, 2, 3)), ValueError, ("1D or 2D", "3D")),
    (lambda: nn.LSTMCell(3, 4)(ag.zeros(2, 5)), RuntimeError, ("5", "expected 3")),
    (lambda: nn.GRUCell(3, 4)(ag.zeros(2, 3), ag.zeros(3, 4)), RuntimeError, ("(2, 4)", "(3, 4)")),
    (lambda: pack(ag.zeros(4, 2), [1, 3]), RuntimeError, ("decreasing", "enforce_sorted=False")),
    (lambda: pack(ag.zeros(4, 2), [5, 3]), RuntimeError, ("between 1 and 4", "[5, 3]")),
    (lambda: pack(ag.zeros(4, 2), [3]), RuntimeError, ("2 lengths",)),
    (lambda: nn.utils.rnn.pad_sequence([]), RuntimeError, ("empty",)),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


MODES = [("LSTM", 4), ("GRU", 3), ("RNN_TANH", 1), ("RNN_RELU", 1)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("mode", "gates"), MODES)
@pytest.mark.parametrize(
    ("steps", "n", "size", "hidden"), [(5, 3, 4, 7), (3, 70, 5, 40), (1, 9, 3, 32), (4, 1, 2, 100)]
)
def test_the_kernel_of_a_sequence_equals_its_steps(
    mode: str, gates: int, masked: bool, reverse: bool, steps: int, n: int, size: int, hidden: int
) -> None:
    ag.manual_seed(0)

    def tensors(dtype: Any) -> list[Any]:
        return [
            None if t is None else t.to(dtype).detach().requires_grad_()
            for t in (x, h, c if mode == "LSTM" else None, w_ih, w_hh, b_ih, b_hh)
        ]

    x, h, c = ag.randn(steps, n, size), ag.randn(n, hidden), ag.randn(n, hidden)
    w_ih, w_hh = (ag.randn(gates * hidden, width) / width**0.5 for width in (size, hidden))
    b_ih, b_hh = ag.randn(gates * hidden), ag.randn(gates * hidden)
    mask = ag.rand(steps, n) < 0.6 if masked else None
    weights = [ag.randn(steps, n, hidden), ag.randn(n, hidden), ag.randn(n, hidden)]
    results = []
    for function, dtype in ((ops.recurrent, ag.float32), (ops._composed, ag.float64)):
        leaves = tensors(dtype)
        state = tuple(t for t in leaves[1:3] if t is not None)
        y, finals = function(mode, leaves[0], state, tuple(leaves[3:]), mask, reverse)
        sum((t * w.to(dtype)).sum() for t, w in zip((y, *finals), weights)).backward()
        results.append([y, *finals, *(t.grad for t in leaves if t is not None)])
    for i, (mine, exact) in enumerate(zip(*results, strict=True)):
        error = float((mine.double() - exact).abs().max() / exact.abs().max())
        assert mine.shape == exact.shape and error < 3e-6, f"result {i}"


def test_extreme_numbers_in_the_kernel_of_a_sequence() -> None:
    for value in (math.nan, math.inf, -math.inf, 1e30, 1e-42):
        for mode, gates in MODES:
            ag.manual_seed(0)
            x = ag.randn(3, 2, 4)
            x[1, 0, 2] = value
            weights = (ag.randn(gates * 20, 4), ag.randn(gates * 20, 20) / 5, None, None)
            state = (ag.zeros(2, 20),) * (2 if mode == "LSTM" else 1)
            y, _ = ops.recurrent(mode, x, state, weights)
            expected, _ = ops._composed(mode, x, state, weights, None, False)
            assert ag.allclose(y, expected, rtol=1e-4, atol=1e-5, equal_nan=True), (value, mode)


@pytest.mark.host("it compares the bytes of host arrays")
def test_a_sequence_does_not_depend_on_the_number_of_threads() -> None:
    layer = nn.LSTM(8, 96)
    x = ag.randn(4, 128, 8)
    seen, before = set(), ag.get_num_threads()
    for threads in (1, 2, before):
        ag.set_num_threads(threads)
        layer.zero_grad()
        y, _ = layer(x)
        y.square().sum().backward()
        seen.add((y.detach().numpy().tobytes(), *(p.grad.numpy().tobytes() for p in layer.parameters())))
    ag.set_num_threads(before)
    assert len(seen) == 1
