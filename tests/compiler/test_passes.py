"""Each pass alone, on plans written by hand; and what `explain` and `draw` say of a compiled step."""

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import nn
from autograd_core.compiler.optimize import optimize
from autograd_core.compiler.passes.accumulation import make_additions_new
from autograd_core.compiler.passes.common import share_common_calls
from autograd_core.compiler.passes.constants import fold_constants
from autograd_core.compiler.passes.dead import remove_dead_calls
from autograd_core.compiler.passes.fusion import fuse_elementwise
from autograd_core.compiler.passes.grouping import Groups
from autograd_core.compiler.passes.normalization import write_out_batch_norm
from autograd_core.compiler.passes.overwriting import write_over_last_uses
from autograd_core.compiler.passes.recompute import recompute_cheap_results
from autograd_core.compiler.passes.updates import bind_updates
from autograd_core.compiler.plan import ARGUMENT, CONSTANT, LIVE, MADE, Plan, Slot
from autograd_core.recorder import Call, Ref

BACKEND = ag.tensor(0.0, device="cpu")._backend
needs_loops = pytest.mark.skipif(not BACKEND.can_fuse, reason="generated loops need Numba's kernels")
SHAPE = (3, 4)


def plan(lines, outputs, shapes=None, live=(), constants=(), bases=None):
    """A plan from lines such as "b = add a a": names are slots, other words Python literals; unmade ones are arguments."""
    shapes, bases, index, slots, calls = shapes or {}, bases or {}, {}, [], []

    def slot(name, kind):
        if name not in index:
            index[name] = len(slots)
            shape = shapes.get(name, SHAPE)
            array = (
                None if kind in (ARGUMENT, MADE) else np.linspace(0.5, 2, int(np.prod(shape)), dtype="f").reshape(shape)
            )
            base = index[bases[name]] if name in bases else None
            slots.append(Slot(len(slots), kind, shape, np.dtype("f"), base=base, origin=name, array=array))
        return Ref(index[name])

    def value(word):
        if word.isidentifier() and word not in ("None", "True", "False"):
            return slot(word, LIVE if word in live else CONSTANT if word in constants else ARGUMENT)
        return eval(word)

    for line in lines:
        result, call = line.split(" = ")
        kernel, *words = call.split()
        args = tuple(value(word) for word in words)
        calls.append(Call(kernel, args, {}, slot(result, MADE)))
    arguments = [s.index for s in slots if s.kind == ARGUMENT]
    made = Plan(BACKEND, slots, calls, arguments, [index[name] for name in outputs])
    made.names = index
    return made


def results(p):
    arrays = []
    for n, k in enumerate(p.arguments):
        shape = p.slots[k].shape
        arrays.append(np.linspace(-1, 1, int(np.prod(shape)), dtype="f").reshape(shape) * (n + 1))
    return [np.asarray(r).copy() for r in p.run(arrays)]


def kernels(p):
    return [c.kernel if isinstance(c.kernel, str) else "+".join(s[0] for s in c.kernel.loop.steps) for c in p.calls]


CASES = [
    # pass, lines, outputs, kernels left
    (remove_dead_calls, ["b = exp a", "c = neg a", "d = add b b"], "d", ["exp", "add"]),
    (remove_dead_calls, ["b = exp a", "p = copy_ p b"], "", ["exp", "copy_"]),
    (remove_dead_calls, ["b = exp a", "b = copy_ b a", "c = neg a"], "c", ["neg"]),
    (remove_dead_calls, ["b = exp a", "v = reshape b (4,3)", "v = copy_ v t"], "b", ["exp", "reshape", "copy_"]),
    (share_common_calls, ["b = exp a", "c = exp a", "d = add b c"], "d", ["exp", "add"]),
    (
        share_common_calls,
        ["b = exp p", "p = copy_ p a", "c = exp p", "d = add b c"],
        "d",
        ["exp", "copy_", "exp", "add"],
    ),
    (share_common_calls, ["b = exp a", "c = exp a"], "bc", ["exp", "exp"]),
    (
        share_common_calls,
        ["b = exp a", "c = exp a", "c = copy_ c a", "d = add b c"],
        "d",
        ["exp", "exp", "copy_", "add"],
    ),
    (fold_constants, ["b = exp k", "c = neg b", "d = add a c"], "d", ["add"]),
    (fold_constants, ["b = exp k", "b = copy_ b a"], "b", ["exp", "copy_"]),
    (make_additions_new, ["b = exp a", "b = add b a b", "c = neg b"], "c", ["exp", "add", "neg"]),
    (fuse_elementwise, ["b = exp a", "c = neg b", "d = mul c a"], "d", ["exp+neg+mul"]),
    (fuse_elementwise, ["b = exp a", "m = matmul b w", "c = neg b", "d = mul c m"], "d", ["exp+neg", "matmul", "mul"]),
    (fuse_elementwise, ["b = exp p", "p = copy_ p a", "c = exp p", "d = add b c"], "d", ["exp", "copy_", "exp+add"]),
]


@pytest.mark.parametrize(
    ("run", "lines", "outputs", "left"), CASES, ids=[f"{c[0].__name__}-{i}" for i, c in enumerate(CASES)]
)
def test_pass(run, lines, outputs, left):
    if run is fuse_elementwise and not BACKEND.can_fuse:
        pytest.skip("generated loops need Numba's kernels")

    def made():
        shapes = {"v": (4, 3), "t": (4, 3), "w": (4, 4)}
        return plan(lines, list(outputs), shapes, live=("p",), constants=("k",), bases={"v": "b"})

    before, after = made(), made()
    run(after)
    assert kernels(after) == left
    for a, b in zip(results(before), results(after), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)
    for a, b in zip(before.slots, after.slots):
        if a.kind == LIVE:
            np.testing.assert_allclose(b.array, a.array, rtol=1e-6)


def test_groups_keep_order():
    p = plan(["b = exp a", "m = matmul b w", "c = neg m", "d = add b c"], ["d"], {"w": (4, 4)})
    groups = Groups(p)
    assert not groups.may_merge(0, 3) and groups.may_merge(0, 1) and groups.may_merge(2, 3)
    groups.merge(2, 3)
    assert not groups.may_merge(0, 2)
    assert groups.order() == [[0], [1], [2, 3]]


def test_optimizing_keeps_what_a_random_plan_computes():
    rng = np.random.default_rng(0)
    for _ in range(30):
        names, lines = ["a", "p"], []
        for n in range(int(rng.integers(2, 14))):
            kernel = str(rng.choice(["exp", "neg", "tanh", "add", "mul", "sub", "copy_", "add_out", "matmul"]))
            x, y = (str(rng.choice(names)) for _ in range(2))
            if kernel == "copy_":
                lines.append(f"p = copy_ p {x}")
            elif kernel == "add_out":
                made = [m for m in names if m.startswith("v")]
                if made:
                    x = str(rng.choice(made))
                    lines.append(f"{x} = add {x} {y} {x}")
            else:
                lines.append(f"v{n} = {kernel} {x}" + (f" {y}" if kernel in ("add", "mul", "sub", "matmul") else ""))
                names.append(f"v{n}")
        outputs = [str(name) for name in rng.choice(names, 2)]
        if not all(any(f"{o} =" in line for line in lines) for o in outputs):
            continue

        def made(lines=lines, outputs=outputs, names=names):
            return plan(lines, outputs, dict.fromkeys([*names, *"ap"], (3, 3)), live=("p",))

        def values(p):
            with np.errstate(all="ignore"):
                return [np.asarray(r).copy() for r in p.run([np.eye(3, dtype="f") / 2 for _ in p.arguments])]

        before, after = made(), optimize(made())
        for a, b in zip(values(before), values(after), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6, err_msg="\n".join(lines))


@needs_loops
def test_explain_and_draw():
    w = ag.ones(4, requires_grad=True, device="cpu")

    @ag.compile
    def step(x):
        w.grad = None
        loss = (ag.tanh(x * w) - 1.0).square().sum()
        loss.backward()
        return loss

    for _ in range(3):
        step(ag.ones(3, 4, device="cpu"))
    (p,) = step.plans
    short, full = p.explain(), p.explain(full=True)
    recorded, left = p.report[0][1], p.report[-1][1]
    assert left < recorded
    for text in (short, full):
        assert "elementwise calls fused" in text and "never written to memory" in text and "at a time" in text
        assert f"{recorded:>6} calls" in text and f"{left:>6} calls" in text
    assert "def kernel(" in full and "def run(" in full and "not written to memory: " in full
    assert "def " not in short and "explain(full=True)" in short
    assert p.draw().svg.startswith("<svg") and "argument" in p.draw().text


def test_the_short_explanation_stays_short():
    """However many layers there are: equal loops are one line, of kernels the largest are named."""
    layers = [nn.Sequential(nn.Linear(n, n + 1), nn.Tanh(), nn.LayerNorm(n + 1), nn.Dropout(0.5)) for n in range(3, 15)]
    model = nn.Sequential(*layers).to("cpu")
    optimizer = ag.optim.Adam(model.parameters())

    @ag.compile
    def step(x):
        optimizer.zero_grad()
        loss = (model(x) - 1.0).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step(ag.ones(4, 3, device="cpu"))
    (p,) = step.plans
    assert len(p.calls) > 100 and len(p.explain().splitlines()) < 40 and max(map(len, p.explain().splitlines())) <= 100
    assert len(p.explain(full=True).splitlines()) > 150


def test_the_peak_of_a_plan():
    """A result is held until its last use, a view holds what it looks at, what is there before is not counted."""
    from autograd_core.compiler.explain import peak

    size = 3 * 4 * 4
    assert peak(plan(["b = exp a", "c = exp b", "d = exp c"], ["d"])) == 2 * size  # One is read, one is written.
    assert peak(plan(["b = exp a", "c = exp b", "d = add b c"], ["d"])) == 3 * size
    assert peak(plan(["b = exp a", "c = exp b", "d = exp c"], list("bcd"))) == 3 * size
    assert peak(plan(["b = exp a", "p = copy_ p b"], ["b"], live=("p",))) == size
    viewing = ["b = exp a", "v = reshape b (12,)", "c = exp a", "d = exp c", "e = exp v"]
    shapes = {"v": (12,), "e": (12,)}
    assert peak(plan(viewing, ["e"], shapes, bases={"v": "b"})) == 3 * size
    assert peak(plan([*viewing[:4]], ["d"], shapes, bases={"v": "b"})) == 2 * size


@needs_loops
def test_a_loop_that_writes_where_an_array_lay_holds_no_more():
    from autograd_core.compiler.explain import peak

    big = (100, 100)
    p = plan(["b = matmul a w", "c = exp b", "d = matmul c w"], ["d"], dict.fromkeys("abcdw", big))
    assert peak(p) == 2 * 40_000
    fuse_elementwise(p)
    assert p.calls[1].kernel.loop.into and peak(p) == 2 * 40_000
    p = plan(["b = matmul a w", "c = exp b"], ["c"], dict.fromkeys("abcw", big))
    assert peak(p) == 2 * 40_000
    fuse_elementwise(p)
    assert peak(p) == 40_000


@needs_loops
def test_memory_is_taken_over_only_where_nobody_needs_it():
    big = (100, 100)

    def taken(lines, outputs, **options):
        p = plan(lines, list(outputs), dict.fromkeys("abcdvw", big), **options)
        fuse_elementwise(p)
        made = results_of_size(p, big)
        return [call.kernel.loop.into for call in p.calls if hasattr(call.kernel, "loop")], made

    def results_of_size(p, shape):
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(shape).astype("f") for _ in p.arguments]
        return [r.copy() for r in p.run([a.copy() for a in arrays])]

    assert taken(["b = matmul a w", "c = exp b"], "c")[0] == [{"y0": "x0"}]
    assert taken(["b = exp a"], "b")[0] == []  # The caller's.
    assert taken(["b = matmul a w", "c = exp b"], "bc")[0] == []  # Returned.
    assert taken(["b = matmul a w", "c = exp b", "d = matmul b c"], "d")[0] == []  # Read later.
    seen = taken(["b = matmul a w", "v = reshape b (100,100)", "c = exp b", "d = matmul v c"], "d", bases={"v": "b"})
    assert seen[0] == []  # Read later through a view.


@needs_loops
def test_a_cheap_result_is_computed_again_only_where_its_arguments_are_held():
    big = (300, 300)

    def kernels_after(first, *last):
        filler = [f"c{n + 1} = matmul c{n} w" for n in range(14)]
        lines = [*first, "c0 = matmul b w", *filler, *last]
        names = {"a", "b", "w", "v", "d", "e", *(f"c{n}" for n in range(15))}
        p = plan(lines, ["e"], dict.fromkeys(names, big))
        before = [np.asarray(r) for r in p.run([np.eye(300, dtype="f") * 0.5 for _ in p.arguments])]
        p._factory = p._run = None
        recompute_cheap_results(p)
        after = [np.asarray(r) for r in p.run([np.eye(300, dtype="f") * 0.5 for _ in p.arguments])]
        np.testing.assert_array_equal(after, before)
        return kernels(p)

    # The argument is there anyway; the result of a product only if it is read later still.
    assert kernels_after(["b = exp a"], "e = matmul b c14").count("exp") == 2
    assert kernels_after(["v = matmul a w", "b = exp v"], "e = matmul b c14").count("exp") == 1
    held = kernels_after(["v = matmul a w", "b = exp v"], "d = matmul b c14", "e = matmul d v")
    assert held.count("exp") == 2 and held.index("exp", 2) == len(held) - 3


def test_a_recurrent_layers_gradients_lie_where_its_gates_lay():
    """If the gradient is the last to read them, and nobody else holds them."""

    def kernels(lines, outputs, **options):
        p = plan(lines, outputs, **options)
        write_over_last_uses(p)
        return [call.kernel for call in p.calls]

    backward = "gx = recurrent_backward g None None x h c w w2 None None None y z s 'LSTM' False None"
    assert kernels(["z = exp x", backward], ["gx"])[1] == "recurrent_backward_"
    assert kernels([backward], ["gx"]) == ["recurrent_backward"]  # The caller's.
    assert kernels([backward], ["gx"], live=("z",)) == ["recurrent_backward"]  # Was there before.
    assert kernels(["z = exp x", backward], ["gx", "z"])[1] == "recurrent_backward"  # Returned.
    assert kernels(["z = exp x", backward, "d = exp z"], ["gx", "d"])[1] == "recurrent_backward"  # Read later.
    viewed = ["z = exp x", "v = reshape z (12,)", backward, "d = exp v"]
    assert kernels(viewed, ["gx", "d"], bases={"v": "z"})[2] == "recurrent_backward"  # Read later through a view.


@pytest.mark.parametrize("mode", ["LSTM", "GRU", "RNN_TANH", "RNN_RELU"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_recurrent_layers_gradients_are_the_same_wherever_they_lie(mode, masked, dtype):
    rng = np.random.default_rng(0)
    gates = {"LSTM": 4, "GRU": 3}.get(mode, 1)
    steps, n, inputs, hidden = 7, 5, 3, 37

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    c0 = draw(n, hidden) if mode == "LSTM" else None
    mask = rng.random((steps, n)) < 0.7 if masked else None
    given = (
        draw(steps, n, inputs), draw(n, hidden), c0, draw(gates * hidden, inputs), draw(gates * hidden, hidden),
        draw(gates * hidden), draw(gates * hidden), mask,
    )  # fmt: skip
    y, *_, out, z, side = BACKEND.recurrent(*given, mode, False)
    cotangents = draw(*y.shape), draw(n, hidden), None if c0 is None else draw(n, hidden)
    wants = (True, True, c0 is not None, True, True, True, True)
    expected = BACKEND.recurrent_backward(*cotangents, *given, out, z, side, mode, False, wants)
    found = BACKEND.recurrent_backward_(*cotangents, *given, out, z, side, mode, False, wants)
    for a, b in zip(expected, found, strict=True):
        assert (a is None and b is None) or (a == b).all()


IMAGES, ROW = (8, 16, 32, 32), (16,)


def normed(activation="y = relu n", weight="w", bias="b", live=("w", "b"), shape=IMAGES):
    """Something is normalised and activated, and what went in and what came out are both needed again much later."""
    shapes = {**dict.fromkeys("axynz", shape), **dict.fromkeys("wbmv", shape[1:2]), **{f"c{i}": () for i in range(16)}}
    lines = [
        "x = add a a", "m = mean x (0,2,3) False", "v = amax x (0,2,3) False",
        f"n = batch_norm x {weight} {bias} m v 1e-5 True", activation, "c0 = mean y None False",
        *(f"c{i + 1} = sigmoid c{i}" for i in range(15)), "g = mul c15 y", "z = mul g x",
    ]  # fmt: skip
    return plan(lines, ["z"], shapes | {"g": shape}, live=live)


@needs_loops
@pytest.mark.parametrize(("weight", "bias"), [("w", "b"), ("w", "None"), ("None", "b"), ("None", "None")])
def test_batch_norm_is_written_out_where_a_loop_can_take_it_in(weight, bias):
    p = normed(weight=weight, bias=bias)
    (before,) = results(p)
    p._factory = p._run = None
    write_out_batch_norm(p)
    names = [call.kernel for call in p.calls]
    assert "batch_norm" not in names and names.count("reshape") == 2 + (bias == "b")
    (after,) = results(p)
    assert np.abs(after - before).max() <= 1e-5 * np.abs(before).max()
    recompute_cheap_results(p)
    assert [call.kernel for call in p.calls].count("relu") == 2
    fuse_elementwise(p)
    p._factory = p._run = None
    (after,) = results(p)
    assert np.abs(after - before).max() <= 1e-5 * np.abs(before).max()
    assert [call.kernel.loop.shape for call in p.calls if hasattr(call.kernel, "loop")].count(IMAGES) == 2


@needs_loops
def test_batch_norm_stays_a_call_where_nothing_is_gained():
    for p in (normed("y = reshape n (8,16,32,32)"), normed(shape=(2, 16, 4, 4))):
        write_out_batch_norm(p)
        assert "batch_norm" in [call.kernel for call in p.calls]


@needs_loops
def test_what_is_computed_again_is_so_from_what_it_was_made_of():
    """Not from a parameter that has been changed since."""

    def computed_again(p):
        write_out_batch_norm(p)
        recompute_cheap_results(p)
        return [call.kernel for call in p.calls].count("relu") == 2

    def changed_before(name):
        p = normed()
        at = next(i for i, call in enumerate(p.calls) if call.kernel == name)
        p.calls.insert(at, Call("sgd_", (Ref(p.names["b"]), *[None] * 9), {}, Ref(p.names["b"])))
        return p

    assert computed_again(normed())
    assert not computed_again(changed_before("mul"))  # Between the first time and the second.
    assert computed_again(changed_before("batch_norm"))


@needs_loops
def test_activations_behind_batch_norm_are_not_held():
    from autograd_core.compiler.explain import peak

    def step_of(backend):
        ag.manual_seed(0)
        layers = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(5)]
        model = nn.Sequential(*layers).to("cpu")
        optimizer = ag.optim.SGD(model.parameters(), lr=0.1)

        @ag.compile(backend=backend)
        def step(x):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        x = ag.randn(8, 8, 32, 32, device="cpu")
        losses = [step(x).item() for _ in range(4)]
        (p,) = step.plans
        return p, losses

    recorded, expected = step_of("aot_eager")
    optimised, found = step_of("inductor")
    assert peak(optimised) <= 0.65 * peak(recorded)
    assert np.allclose(expected, found, rtol=1e-5)


@needs_loops
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("large", [False, True])
def test_updates_are_bound_to_their_kernels(momentum, large):
    """The same bits, on other parameters as well, which a later run is given."""
    shape = (300, 300) if large else (3, 4)

    def run(passes):
        weight = ag.nn.Parameter(ag.ones(*shape, device="cpu"))
        bias = ag.nn.Parameter(ag.ones(shape[1], device="cpu"))
        optimizer = ag.optim.SGD([weight, bias], lr=0.1, momentum=momentum, weight_decay=0.01)

        @ag.compile(backend="aot_eager")
        def step(x):
            optimizer.zero_grad()
            loss = (x * weight + bias).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        x = ag.linspace(-1, 1, shape[0] * shape[1], device="cpu").reshape(shape)
        for i in range(5):
            if i == 3:
                weight.data = ag.full(shape, 2.0, device="cpu")
            step(x)
            if i == 1:
                for each in step.plans:
                    passes(each)
                    each._factory = each._run = None
        return step.plans[0], weight.detach().numpy().copy(), bias.detach().numpy().copy()

    _, *expected = run(lambda p: None)
    p, *found = run(bind_updates)
    kernels = [call.kernel for call in p.calls]
    assert "sgd_" not in kernels and sum(callable(kernel) for kernel in kernels) == 2
    assert all((a == b).all() for a, b in zip(expected, found))


@needs_loops
def test_updates_that_a_kernel_cannot_take_stay_as_they_are():
    def kernel(shapes, live):
        p = plan(["q = sgd_ p g None lr m d None False False False"], ["q"], {"lr": (), **shapes}, live=live)
        bind_updates(p)
        return p.calls[-1].kernel

    assert callable(kernel({}, ("p", "lr")))
    assert kernel({"g": (4, 3)}, ("p", "lr")) == "sgd_"
    assert kernel({}, ("lr",)) == "sgd_"  # A parameter that comes anew with each call.
