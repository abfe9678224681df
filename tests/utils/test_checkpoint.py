"""Checkpointing of activations: the same bits with less memory."""

import gc
import tracemalloc

import pytest

import autograd_core as ag
from autograd_core import nn, optim
from autograd_core.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

F = nn.functional


def network(depth=4, width=16):
    ag.manual_seed(0)
    return nn.ModuleList(
        nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Dropout(0.3), nn.LayerNorm(width)) for _ in range(depth)
    )


def plain(blocks, h):
    for block in blocks:
        h = block(h)
    return h


def each(blocks, h):
    for block in blocks:
        h = checkpoint(block, h, use_reentrant=False)
    return h


def reentrant(blocks, h):
    for block in blocks:
        h = checkpoint(block, h, use_reentrant=True)
    return h


def nested(blocks, h):
    for block in blocks:
        h = checkpoint(lambda h, b=block: checkpoint(b[2:], checkpoint(b[:2], h)) * 1.5, h, use_reentrant=False)
    return h / 1.5 ** len(blocks)


def whole(blocks, h):
    return checkpoint(lambda h: each(blocks, h), h)


def in_parts(blocks, h):
    return checkpoint_sequential(nn.Sequential(*blocks), 3, h, use_reentrant=False)


def step(how, depth=4, n=8, width=16):
    """Loss, all gradients and the state of the random generator after one step."""
    model = network(depth, width)
    ag.manual_seed(1)
    x = ag.randn(n, width, requires_grad=True)
    loss = how(model, x).square().sum()
    loss.backward()
    return [loss.detach(), x.grad, *(p.grad for p in model.parameters()), ag.get_rng_state(ag.get_default_device())]


@pytest.mark.parametrize("how", [each, reentrant, whole, in_parts], ids=lambda how: how.__name__)
def test_the_same_bits_as_without(how):
    assert all(map(ag.equal, step(plain), step(how)))


def test_nested_checkpoints_agree_too():
    def scaled(blocks, h):
        for block in blocks:
            h = block(h) * 1.5
        return h / 1.5 ** len(blocks)

    assert all(map(ag.equal, step(scaled), step(nested)))


@pytest.mark.host("tracemalloc sees host memory")
@pytest.mark.parametrize("how", [each, whole, in_parts], ids=lambda how: how.__name__)
def test_memory_is_lower(how):
    def peak(how):
        step(how, 16, 256, 32)  # Compiles and caches: kernels are loaded for the sizes that need them.
        tracemalloc.start()
        try:
            step(how, 16, 256, 32)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(how) < 0.6 * peak(plain)


@pytest.mark.host("tracemalloc sees host memory")
def test_nothing_is_left_when_the_loss_lives_on_and_no_cycles_are_made():
    def sizes(how):
        model = network(2)
        found = []
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(4):
                x = ag.ones(4096, 16, requires_grad=True)
                loss = how(model, x * 2).sum()
                loss.backward()
                x = None
                found.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
            gc.enable()
        assert loss.grad_fn is not None and x is None
        return found

    activation = 4096 * 16 * 4
    without, found = sizes(plain), sizes(nested)
    assert found[-1] - found[0] < activation / 4, "memory grows"
    assert max(found) < max(without) + activation / 4, "backward left more behind than without checkpoints"


def test_keywords_structures_and_tensors_from_outside():
    scale = ag.tensor([2.0], requires_grad=True)

    def function(x, pair, *, shift=None):
        h = (x.exp() * scale + pair[0]) * pair[1]["k"]
        return {"out": [h.sigmoid(), (h + shift).tanh()], "n": 3}

    def grads(wrapped):
        x, a, b, c = (ag.full((3,), v, requires_grad=True) for v in (0.1, 0.2, 0.3, 0.4))
        out = wrapped(x, (a, {"k": b}), shift=c)
        assert out["n"] == 3
        return ag.autograd.grad((out["out"][0] * out["out"][1]).sum(), (x, a, b, c, scale))

    once = grads(function)
    again = grads(lambda *args, **kwargs: checkpoint(function, *args, use_reentrant=False, **kwargs))
    assert all(map(ag.equal, once, again))


def test_gradients_of_gradients_and_several_backwards():
    def function(x, w):
        return (x * w).tanh().exp()

    def second(wrapped):
        x, w = ag.tensor([0.3, -0.7], requires_grad=True), ag.tensor([1.5, 0.5], requires_grad=True)
        y = wrapped(x, w).sum()
        (g,) = ag.autograd.grad(y, x, create_graph=True)
        (g.square().sum() + y).backward()
        return x.grad, w.grad

    assert all(map(ag.equal, second(function), second(lambda x, w: checkpoint(function, x, w))))
    x = ag.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x.exp().sin(), x).sum()
    y.backward(retain_graph=True)
    first = x.grad.clone()
    y.backward()
    assert ag.equal(x.grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_it_is_run_twice_with_gradients_and_once_without():
    calls = []

    def function(x):
        calls.append(ag.is_grad_enabled())
        return x.exp()

    x = ag.ones(2, requires_grad=True)
    with ag.no_grad():
        assert not checkpoint(function, x).requires_grad
    y = checkpoint(function, x).sum()
    with ag.no_grad():
        y.backward()
    assert calls == [False, True, True]
    checkpoint(function, ag.ones(2))
    assert len(calls) == 4


def test_random_numbers_can_be_left_alone():
    def grads(preserve):
        ag.manual_seed(0)
        x = ag.ones(1000, requires_grad=True)
        y = checkpoint(lambda x: F.dropout(x.exp(), 0.5), x, preserve_rng_state=preserve)
        y.sum().backward()
        return bool(((y == 0) == (x.grad == 0)).all())

    assert grads(True) and not grads(False)


def test_in_place_changes_inside_the_function():
    def function(x):
        h = x * 2
        h.mul_(x)
        h[0] = 0.0
        return h.sigmoid_().mul(3).exp_()

    x, z = ag.ones(3, requires_grad=True), ag.ones(3, requires_grad=True)
    function(x).sum().backward()
    checkpoint(function, z).sum().backward()
    assert ag.equal(x.grad, z.grad)


def test_custom_functions_keep_what_they_saved():
    class Cube(ag.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    x = ag.full((2,), 2.0, requires_grad=True)
    checkpoint(lambda x: Cube.apply(x.square()).exp().log(), x).sum().backward()
    assert ag.allclose(x.grad, 6 * x.detach() ** 5, rtol=1e-4)


def test_operations_with_several_outputs():
    def function(x):
        values, _ = x.exp().sort()
        first, second = values.chunk(2)
        return first.sigmoid(), second.tanh()

    def grad(wrapped):
        x = ag.tensor([3.0, 1.0, -2.0, 0.5], requires_grad=True)
        a, b = wrapped(x)
        (a * b).sum().backward()
        return x.grad

    assert ag.equal(grad(function), grad(lambda x: checkpoint(function, x)))


def test_the_contexts_are_entered():
    seen = []

    class Note:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *error):
            seen.append("end of " + self.name)

    x = ag.ones(1, requires_grad=True)
    y = checkpoint(lambda x: x.exp(), x, use_reentrant=False, context_fn=lambda: (Note("first"), Note("second")))
    y.backward()
    assert seen == ["first", "end of first", "second", "end of second"]


def changed_argument():
    x = ag.ones(3, requires_grad=True) * 1
    y = checkpoint(lambda x: x.exp(), x)
    x.add_(1)
    y.sum().backward()


def changed_parameter():
    model = nn.Linear(2, 2)
    y = checkpoint(lambda x: model(x).tanh(), ag.ones(1, 2, requires_grad=True))
    optimizer = optim.SGD([model.bias], lr=1.0)
    model.bias.grad = ag.ones(2)
    optimizer.step()
    y.sum().backward()


def changes_its_argument():
    x = ag.ones(3, requires_grad=True) * 1
    checkpoint(lambda x: x.mul_(2).exp(), x).sum().backward()


def unsteady(**options):
    runs = []

    def function(x):
        runs.append(1)
        return x.exp() if len(runs) == 1 else x.exp().sin()

    checkpoint(function, ag.ones(3, requires_grad=True), use_reentrant=False, **options).sum().backward()


def other_shape(check="default"):
    runs = []

    def function(x):
        runs.append(1)
        return x[: 3 - len(runs)].exp().sum()

    checkpoint(function, ag.ones(3, requires_grad=True), determinism_check=check).backward()


def overwrites_what_it_saved():
    def function(x):
        h = x.exp()
        h.mul_(2)
        return h.sin()

    checkpoint(function, ag.ones(3, requires_grad=True)).sum().backward()


def one(x):
    return x


X = 1.0
MISTAKES = [
    (changed_argument, CheckpointError, r"shape \(3,\).*changed in place \(add"),
    (changed_parameter, CheckpointError, r"shape \(2,\).*changed in place"),
    (changes_its_argument, CheckpointError, "changed in place"),
    (overwrites_what_it_saved, RuntimeError, r"exp saved for its gradient was changed by an inplace operation"),
    (unsteady, CheckpointError, "did not do the same.*exp.* became sin"),
    (lambda: unsteady(debug=True), CheckpointError, "(?s)First run.*exp of.*Second run.*sin of"),
    (other_shape, CheckpointError, r"exp of shape \(2,\).* became exp of shape \(1,\)"),
    (lambda: checkpoint(one, X, determinism_check="some"), ValueError, "'default' or 'none', got 'some'"),
    (lambda: checkpoint(one, X, use_reentrant=True, k=1), ValueError, r"no keyword arguments, got \['k'\]"),
    (lambda: checkpoint(one, X, use_reentrant=True, debug=True), ValueError, "need use_reentrant=False"),
    (lambda: checkpoint_sequential([one], 1, X, k=1), ValueError, r"unexpected keyword arguments \['k'\]"),
    (lambda: checkpoint_sequential([one], 2, X), ValueError, "segments should be 1 to 1, got 2"),
    (lambda: checkpoint_sequential([one], 0, X), ValueError, "segments should be 1 to 1, got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_shapes_go_unchecked_on_demand():
    other_shape("none")


def test_gradients_equal_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    from torch.utils.checkpoint import checkpoint as reference

    def grad(lib, run):
        x = lib.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=lib.float64, requires_grad=True)
        run(lambda x: (x @ x).tanh() * x.exp(), x, use_reentrant=False).sum().backward()
        return x.grad.tolist()

    ours, theirs = grad(ag, checkpoint), grad(torch, reference)
    assert ours == [pytest.approx(row, rel=1e-12) for row in theirs]


def test_a_recorded_step_replays_with_fresh_random_numbers():
    """The second run is part of the flat list of calls, its random state a buffer that each replay refreshes."""
    from autograd_core.recorder import Recorder

    def make():
        model = network(2)
        optimizer = optim.Adam(model.parameters(), lr=0.01)

        def step(x):
            optimizer.zero_grad(set_to_none=False)
            each(model, x).square().mean().backward()
            optimizer.step()

        for p in model.parameters():
            p.grad = ag.zeros_like(p)
        return model, step

    batches = [ag.randn(4, 16) for _ in range(4)]
    model, step = make()
    ag.manual_seed(2)
    for x in batches:
        step(x)
    other, its_step = make()
    ag.manual_seed(2)
    x = batches[0].clone()
    with Recorder(x._backend) as tape:
        its_step(x)
    for new in batches[1:]:
        tape.replay({x: new})
    assert all(map(ag.equal, model.parameters(), other.parameters()))
