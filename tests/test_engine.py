"""What the engine promises: gradients of any graph, in any order, without recursion or shared buffers."""

from __future__ import annotations

from typing import Any

import pytest

import autograd_core as ag


def leaf(*values: float) -> ag.Tensor:
    return ag.tensor(values, dtype=ag.float64, requires_grad=True)


# -- shapes of graphs -------------------------------------------------------------------------------------


def test_diamond() -> None:
    x = leaf(2.0, 3.0)
    y = x * x
    (y * 3 + y * y).sum().backward()  # d(3x^2 + x^4) = 6x + 4x^3
    assert x.grad.tolist() == [44.0, 126.0]


def test_a_value_used_three_times_and_in_different_depths() -> None:
    x = leaf(2.0)
    y = x * 3
    deep = y
    for _ in range(5):
        deep = deep * 1.0
    (y + y * y + deep).sum().backward()  # 3 + 2 * 6 * 3 + 3
    assert x.grad.tolist() == [42.0]


def test_the_same_tensor_as_both_operands() -> None:
    x = leaf(3.0)
    (x * x + x - x / x).sum().backward()
    assert x.grad.tolist() == [7.0]


def test_a_leaf_that_is_its_own_output() -> None:
    x = leaf(3.0)
    x.sum().backward()
    x.backward(ag.tensor([4.0], dtype=ag.float64))
    assert x.grad.tolist() == [5.0]


def test_several_roots_one_inside_the_graph_of_the_other() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * 5
    ag.autograd.backward([z, y], [ag.ones_like(z), ag.full_like(y, 10.0)])
    assert x.grad.tolist() == [60.0]


def test_random_graphs_against_central_differences() -> None:
    """Two hundred random compositions: consumers at all distances, in all orders."""
    import random

    for seed in range(200):
        rng = random.Random(seed)

        def program(x: ag.Tensor, seed: int = seed) -> ag.Tensor:
            draw = random.Random(seed)
            values = [x]
            for _ in range(12):
                a, b = draw.choice(values), draw.choice(values)
                values.append(
                    draw.choice(
                        (lambda a, b: a * b * 0.5, lambda a, b: a - b, lambda a, b: a.tanh(), lambda a, b: b + 0.5)
                    )(a, b)
                )
            return sum(draw.sample(values, 4)).sum()

        x = leaf(rng.uniform(-1, 1), rng.uniform(-1, 1))
        assert ag.autograd.gradcheck(program, x)


@pytest.mark.parametrize("length", (100_000, 1_000_000))
def test_a_long_chain_is_built_differentiated_and_freed(length: int, simulated: bool) -> None:
    """No recursion at any stage."""
    if length > 100_000 and simulated:
        pytest.skip("the simulated device is slow, and the tape is the same")
    x = ag.ones(1, requires_grad=True)
    one = ag.ones(1)
    y = x
    for _ in range(length):
        y = y + one
    y.backward()
    assert y.item() == length + 1 and x.grad.tolist() == [1.0]
    del y


def test_a_long_chain_is_freed_without_backward_and_through_two_inputs() -> None:
    x = ag.ones(1, requires_grad=True)
    y = z = x
    for _ in range(100_000):
        y, z = y * z, z + y
    del y, z


# -- where gradients go -----------------------------------------------------------------------------------


def test_accumulates_in_place_into_the_existing_grad() -> None:
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    grad = x.grad
    (x * 3).sum().backward()
    assert x.grad is grad and grad.tolist() == [5.0, 5.0]


def test_two_leaves_never_share_a_gradient() -> None:
    x, y, z = leaf(1.0), leaf(2.0), leaf(3.0)
    (x + y + z.reshape(1)).sum().backward()
    x.grad.zero_()
    y.grad.mul_(5)
    assert (x.grad.tolist(), y.grad.tolist(), z.grad.tolist()) == ([0.0], [5.0], [1.0])


@pytest.mark.parametrize("create_graph", (False, True))
def test_the_given_cotangent_is_not_kept(create_graph: bool) -> None:
    for make in (lambda x: x, lambda x: x + 0, lambda x: x.reshape(2, 1).reshape(2), lambda x: x.clone()):
        x = leaf(1.0, 2.0)
        v = ag.ones(2, dtype=ag.float64)
        make(x).backward(v, create_graph=create_graph)
        with ag.no_grad():
            v.zero_()
        assert x.grad.tolist() == [1.0, 1.0]
        with ag.no_grad():
            x.grad.fill_(7.0)
        assert v.tolist() == [0.0, 0.0]


def test_two_leaves_share_nothing_under_create_graph() -> None:
    x, y = leaf(1.0), leaf(2.0)
    (x + y).sum().backward(create_graph=True)
    with ag.no_grad():
        x.grad.zero_()
    assert y.grad.tolist() == [1.0]


def test_a_retained_gradient_is_not_that_of_a_leaf() -> None:
    x = leaf(1.0)
    y = x + 0
    y.retain_grad()
    y.sum().backward()
    y.grad.zero_()
    assert x.grad.tolist() == [1.0]


def test_a_gradient_that_a_hook_keeps_stays_as_it_was() -> None:
    x, kept = leaf(1.0), []
    x.register_hook(kept.append)
    y = x + 0
    y.register_hook(kept.append)
    for _ in range(2):
        y.sum().backward(retain_graph=True)
    x.grad.zero_()
    assert [g.tolist() for g in kept] == [[1.0]] * 4


def test_what_a_hook_returns_is_not_taken_over() -> None:
    x, mine = leaf(1.0), ag.full((1,), 9.0, dtype=ag.float64)
    x.register_hook(lambda g: mine)
    for _ in range(2):
        (x * 2).sum().backward()
    assert x.grad.tolist() == [18.0] and mine.tolist() == [9.0]


def test_retain_grad_of_a_value_used_twice_is_its_whole_gradient() -> None:
    x = leaf(2.0)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad and y.grad is None
    (y * y + y).sum().backward()
    assert y.grad.tolist() == [13.0] and x.grad.tolist() == [39.0]


def test_inputs_restrict_where_gradients_go() -> None:
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    (h * h).sum().backward(inputs=[w], retain_graph=True)
    assert x.grad is None and w.grad.tolist() == [24.0]
    (h * h).sum().backward(inputs=[h, x])
    assert h.grad.tolist() == [12.0] and x.grad.tolist() == [36.0] and w.grad.tolist() == [24.0]


def test_grad_of_leaves_and_of_values_inside() -> None:
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    y = (h * h + h).sum()
    gh, gx = ag.autograd.grad(y, [h, x], retain_graph=True)
    assert (gh.tolist(), gx.tolist()) == ([13.0], [39.0])
    assert x.grad is None and w.grad is None
    assert ag.autograd.grad(y, y)[0].item() == 1.0


def test_grad_of_an_unused_input() -> None:
    x, unused = leaf(2.0), leaf(1.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        ag.autograd.grad((x * x).sum(), [x, unused])
    assert ag.autograd.grad((x * x).sum(), [x, unused], allow_unused=True)[1] is None
    assert ag.autograd.grad((x * x).sum(), [x, unused], materialize_grads=True)[1].tolist() == [0.0]


def test_an_unwanted_branch_is_not_computed() -> None:
    x, w = leaf(2.0), leaf(3.0)

    class Explosive(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, t: ag.Tensor) -> ag.Tensor:
            return t * 2

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            raise AssertionError("the gradient of w was not asked for")

    y = (x * x + Explosive.apply(w)).sum()
    assert ag.autograd.grad(y, x)[0].tolist() == [4.0]


def test_broadcast_gradients_have_the_shape_of_their_leaf() -> None:
    x, b = ag.ones(4, 3, requires_grad=True), ag.ones(1, requires_grad=True)
    s = ag.tensor(2.0, requires_grad=True)
    (x * b + s).sum().backward()
    assert (b.grad.tolist(), s.grad.item(), tuple(x.grad.shape)) == ([12.0], 12.0, (4, 3))


# -- create_graph -----------------------------------------------------------------------------------------


def test_derivatives_to_the_fourth_order() -> None:
    x = leaf(1.5)
    y = (x**4).sum()
    expected = [4 * 1.5**3, 12 * 1.5**2, 24 * 1.5, 24.0]
    for value in expected:
        (y,) = ag.autograd.grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(value, rel=1e-12)


def test_create_graph_within_no_grad_still_records() -> None:
    x = leaf(3.0)
    y = (x * x * x).sum()
    with ag.no_grad():
        (g,) = ag.autograd.grad(y, x, create_graph=True)
    assert g.requires_grad
    g.sum().backward()
    assert x.grad.tolist() == [18.0]


def test_backward_with_create_graph_gives_a_grad_with_history() -> None:
    x = leaf(3.0)
    (x * x * x).sum().backward(create_graph=True)
    g = x.grad
    x.grad = None
    (g * g).sum().backward()  # d(9 x^4) = 36 x^3
    assert x.grad.tolist() == [972.0]


def test_a_penalty_on_the_gradient() -> None:
    w, x = ag.randn(3, 3, dtype=ag.float64, requires_grad=True), ag.randn(2, 3, dtype=ag.float64, requires_grad=True)

    def penalty(w: ag.Tensor, x: ag.Tensor) -> ag.Tensor:
        (g,) = ag.autograd.grad((x @ w).tanh().sum(), x, create_graph=True)
        return (g * g).sum()

    assert ag.autograd.gradcheck(penalty, (w, x))


# -- hooks ------------------------------------------------------------------------------------------------


def test_a_hook_may_replace_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    handle = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [21.0, 21.0]
    handle.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [20.0, 20.0]


def test_hooks_run_in_order_once_with_the_whole_gradient() -> None:
    x, seen = leaf(1.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("first", g.item())) or g * 2)
    y.register_hook(lambda g: seen.append(("second", g.item())))
    (y + y).sum().backward()
    assert seen == [("first", 2.0), ("second", 4.0)] and x.grad.tolist() == [8.0]


def test_a_hook_of_the_wrong_shape_is_an_error() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="hook returned shape"):
        (x * 2).sum().backward()


def test_post_accumulate_grad_hook() -> None:
    x, seen = leaf(1.0), []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    (x * 3).sum().backward()
    assert seen == [2.0, 5.0]
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).register_post_accumulate_grad_hook(lambda t: None)


def test_an_optimiser_inside_the_backward() -> None:
    """A post-accumulate hook may step and clear the gradient, so that no two gradients live at once."""
    w = leaf(1.0)

    def step(p: ag.Tensor) -> None:
        with ag.no_grad():
            p.sub_(0.1 * p.grad)
        p.grad = None

    w.register_post_accumulate_grad_hook(step)
    (w * 2).sum().backward()
    assert w.grad is None and w.tolist() == pytest.approx([0.8])


def test_node_hooks() -> None:
    x, seen = leaf(3.0), []
    y = x * 2
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 5,))
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs[0].item(), outputs[0].item())))
    y.sum().backward()
    assert seen == [(10.0, 5.0)] and x.grad.tolist() == [10.0]


@pytest.mark.parametrize("answer", [lambda g: g[:1], lambda g: (*g, g[0]), lambda g: (g[0], g[1].reshape(1, 2))])
def test_node_hooks_give_as_many_gradients_as_they_are_given(answer: Any) -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * w
    y.grad_fn.register_hook(lambda inputs, outputs: answer(inputs))
    with pytest.raises(RuntimeError, match=r"hook on the node of mul: returned gradients of shapes .* expected"):
        y.sum().backward()


def test_a_backward_inside_a_hook() -> None:
    x, inner = leaf(2.0), leaf(5.0)

    def hook(g: ag.Tensor) -> None:
        with ag.enable_grad():
            (inner * inner).sum().backward()

    y = x * x
    y.register_hook(hook)
    (y * 3).sum().backward()
    assert x.grad.tolist() == [12.0] and inner.grad.tolist() == [10.0]


# -- errors -----------------------------------------------------------------------------------------------


def test_backward_twice() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]
    with pytest.raises(RuntimeError, match="second time.*retain_graph=True"):
        y.backward()


def test_backward_twice_through_many_freed_nodes() -> None:
    x = leaf(2.0)
    y = ag.cat([x.exp(), x.sin(), x.cos(), x.tanh(), x.exp()]).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_a_second_backward_through_what_saved_nothing_works() -> None:
    x = leaf(2.0)
    y = (x + x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_backward_from_a_non_scalar_or_without_history() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"scalar outputs.*\(2,\)"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(ag.ones(3, dtype=ag.float64))
    with pytest.raises(RuntimeError, match="does not require grad"):
        ag.ones(1).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        with ag.no_grad():
            y = (x * 2).sum()
        y.backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        ag.autograd.grad((x * 2).sum(), ag.ones(2))
    with pytest.raises(RuntimeError, match="empty"):
        ag.autograd.grad((x * 2).sum(), [])


def test_an_error_in_a_rule_leaves_the_gradients_alone() -> None:
    x = leaf(1.0)

    class Fails(ag.autograd.Function):
        @staticmethod
        def forward(ctx: Any, t: ag.Tensor) -> ag.Tensor:
            return t.clone()

        @staticmethod
        def backward(ctx: Any, g: ag.Tensor) -> ag.Tensor:
            raise ZeroDivisionError("in the user's backward")

    with pytest.raises(ZeroDivisionError):
        (Fails.apply(x) + x).sum().backward()
    assert x.grad is None and ag.is_grad_enabled()
