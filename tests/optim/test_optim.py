"""Optimisers: against PyTorch, against values computed by hand, and their errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import autograd_core as ag

SHAPES = ((4, 3), (3,), (), (2, 3, 2))

# Every optimiser with every option that changes its update.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "nesterov": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2, "amsgrad": True, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "momentum_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.5, 0.6), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.5, "t0": 10, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 1.5, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 1.0, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.3), "maximize": True}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def numbers(*shape: int, seed: int) -> Any:
    """Nested lists of numbers in [-1, 1], the same on every device and in PyTorch."""
    if not shape:
        return ((seed * 7919) % 2003) / 1001.5 - 1
    return [numbers(*shape[1:], seed=seed * 31 + i + 1) for i in range(shape[0])]


def parameters(lib: Any, dtype: str) -> list[Any]:
    return [
        lib.tensor(numbers(*shape, seed=i), dtype=getattr(lib, dtype), requires_grad=True)
        for i, shape in enumerate(SHAPES)
    ]


def set_gradients(lib: Any, params: list[Any], step: int) -> None:
    for i, p in enumerate(params):
        p.grad = lib.tensor(numbers(*p.shape, seed=100 * step + i), dtype=p.dtype)
    if step % 5 == 3:
        params[1].grad = None  # Skipped: its state, its step count and the parameter itself stand still.


def plain(value: Any) -> Any:
    """State with tensors of either library as (dtype, nested lists)."""
    if hasattr(value, "tolist"):
        return str(value.dtype).split(".")[-1], value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def converted(value: Any, to: Any) -> Any:
    """A state dict of one library with the tensors of the other."""
    if hasattr(value, "tolist"):
        return to.tensor(value.tolist(), dtype=getattr(to, str(value.dtype).split(".")[-1]))
    if isinstance(value, dict):
        return {k: converted(v, to) for k, v in value.items()}
    return [converted(v, to) for v in value] if isinstance(value, list) else value


def assert_close(ours: list[Any], theirs: list[Any], tolerance: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        flat_a, flat_b = a.detach().reshape(-1).tolist(), b.detach().reshape(-1).tolist()
        assert flat_a == pytest.approx(flat_b, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_fifty_steps_equal_pytorch(name: str, options: dict[str, Any], dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    ours, theirs = parameters(ag, dtype), parameters(torch, dtype)
    optimizer, reference = getattr(ag.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(50):
        set_gradients(ag, ours, step)
        set_gradients(torch, theirs, step)
        for o in (optimizer, reference):
            o.param_groups[0]["lr"] *= 0.98  # A rate that changes between steps.
            o.step()
    assert_close(ours, theirs, TOLERANCE[dtype])
    mine, other = plain(optimizer.state_dict()), plain(reference.state_dict())
    assert mine["param_groups"] == other["param_groups"]
    assert list(mine["param_groups"][0]) == list(other["param_groups"][0])
    assert {k: list(v) for k, v in mine["state"].items()} == {k: list(v) for k, v in other["state"].items()}
    for i, state in mine["state"].items():
        assert {k: v[0] for k, v in state.items()} == {k: v[0] for k, v in other["state"][i].items()}


@pytest.mark.parametrize("towards", ["ours", "ours, as it is", "pytorch"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_state_moves_between_the_libraries(name: str, options: dict[str, Any], towards: str) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    source, target = (torch, ag) if towards.startswith("ours") else (ag, torch)
    first = parameters(source, "float64")
    a = getattr(source.optim, name)(first, **options)
    for step in range(4):
        set_gradients(source, first, step)
        a.step()
    second = [target.tensor(p.tolist(), dtype=target.float64, requires_grad=True) for p in first]
    b = getattr(target.optim, name)(second)
    b.load_state_dict(a.state_dict() if towards == "ours, as it is" else converted(a.state_dict(), target))
    for step in range(4, 8):
        for lib, params, optimizer in ((source, first, a), (target, second, b)):
            set_gradients(lib, params, step)
            optimizer.step()
    # PyTorch keeps NAdam's float32 product and ASGD's float32 rate in the parameter's dtype once they are loaded.
    assert_close(first, second, 1e-6 if name in ("NAdam", "ASGD") else 1e-10)


# -- by hand ------------------------------------------------------------------------------------------------


_LENGTH = 19 - 12 * 0.9**6 / (1 - 0.9**6)
RECTIFICATION = ((_LENGTH - 4) * (_LENGTH - 2) * 19 / (15 * 17 * _LENGTH)) ** 0.5


def stepped(name: str, gradients: list[float], start: float = 1.0, **options: Any) -> float:
    p = ag.tensor([start], dtype=ag.float64, requires_grad=True)
    optimizer = getattr(ag.optim, name)([p], **options)
    for g in gradients:
        p.grad = ag.tensor([g], dtype=ag.float64)
        optimizer.step()
    return float(p.detach()[0].item())


@pytest.mark.parametrize(
    ("name", "options", "gradients", "expected"),
    [
        ("SGD", {"lr": 0.5}, [1.0, 1.0], 0.0),
        ("SGD", {"lr": 0.5, "maximize": True}, [1.0], 1.5),
        ("SGD", {"lr": 0.5, "weight_decay": 0.5}, [1.0], 0.25),
        ("SGD", {"lr": 0.5, "momentum": 0.5}, [1.0, 1.0], -0.25),  # b = 1, then 1.5
        ("SGD", {"lr": 0.5, "momentum": 0.5, "dampening": 0.5}, [1.0, 1.0], 0.0),  # b = 1, then 0.5 + 0.5
        ("SGD", {"lr": 0.5, "momentum": 0.5, "nesterov": True}, [1.0], 0.25),  # g + 0.5 b
        ("Adam", {"lr": 0.5, "eps": 0.0}, [3.0], 0.5),  # The first step has the size lr.
        ("Adam", {"lr": 0.5, "betas": (0.0, 0.5), "eps": 1.0}, [2.0], 1 - 0.5 * 2 / 3),
        # Second step: v = (0.5 4 + 0.5 0) = 1 over 0.75, amsgrad keeps 2; g = 0, so m = 0.5.
        ("Adam", {"lr": 1.0, "betas": (0.5, 0.5), "eps": 0.0}, [2.0, 0.0], 0 - (0.5 / 0.75) / (1 / 0.75) ** 0.5),
        (
            "Adam",
            {"lr": 1.0, "betas": (0.5, 0.5), "eps": 0.0, "amsgrad": True},
            [2.0, 0.0],
            0 - (0.5 / 0.75) / (2 / 0.75) ** 0.5,
        ),
        ("AdamW", {"lr": 0.5, "eps": 0.0, "weight_decay": 0.5}, [1.0], 0.25),
        ("NAdam", {"lr": 0.5, "betas": (0.0, 0.5), "eps": 0.0}, [1.0], 0.5),
        ("RMSprop", {"lr": 0.5, "alpha": 0.75, "eps": 0.5}, [2.0], 1 - 0.5 * 2 / 1.5),
        ("RMSprop", {"lr": 0.5, "alpha": 0.75, "eps": 0.0, "centered": True}, [2.0], 1 - 0.5 * 2 / 0.75**0.5),
        ("RMSprop", {"lr": 0.5, "alpha": 0.0, "eps": 0.0, "momentum": 0.5}, [1.0, 1.0], -0.25),
        ("Adagrad", {"lr": 0.5, "eps": 0.0}, [3.0, 4.0], 0.5 - 0.5 * 4 / 5),
        ("Adagrad", {"lr": 0.5, "eps": 0.0, "lr_decay": 1.0}, [3.0, 4.0], 0.5 - 0.25 * 4 / 5),
        ("Adagrad", {"lr": 0.5, "eps": 0.0, "initial_accumulator_value": 16.0}, [3.0], 1 - 0.5 * 3 / 5),
        # rho_inf is 19, and rho_t first exceeds 5 at the sixth step.
        ("RAdam", {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.0}, [2.0] * 5, 1 - 0.1 * 5 * 2),
        ("RAdam", {"lr": 0.1, "betas": (0.0, 0.9), "eps": 0.0}, [1.0] * 6, 1 - 0.1 * (5 + RECTIFICATION)),
        ("RAdam", {"lr": 0.5, "weight_decay": 0.5, "decoupled_weight_decay": True}, [1.0], 0.25),
        ("Adadelta", {"rho": 0.75, "eps": 0.25}, [1.0], 1 - (0.25 / 0.5) ** 0.5),
        # v = 0.75 0.25 + 0.25, u = 0.25 (the square of the first step, 0.5).
        ("Adadelta", {"rho": 0.75, "eps": 0.25}, [1.0] * 2, 1 - (0.25 / 0.5) ** 0.5 - (0.375 / 0.6875) ** 0.5),
        ("Adamax", {"lr": 1.0, "betas": (0.5, 0.5), "eps": 0.0}, [2.0, 0.0], 0 - (0.5 / 0.75) / 1),
        ("ASGD", {"lr": 0.5, "lambd": 0.5}, [1.0], 0.25),
        ("ASGD", {"lr": 0.5, "lambd": 2.0, "alpha": 1.0}, [1.0, 2.0], -0.75),  # eta = 0.5, then 0.25
        ("Rprop", {"lr": 0.5}, [3.0, 2.0], 1 - 0.5 - 0.6),
        ("Rprop", {"lr": 0.5, "step_sizes": (0.1, 0.55)}, [3.0, 2.0], 1 - 0.5 - 0.55),
        ("Rprop", {"lr": 0.5}, [3.0, 2.0, -1.0], 1 - 0.5 - 0.6),  # It turned: the element rests ...
        ("Rprop", {"lr": 0.5}, [3.0, 2.0, -1.0, -1.0], 1 - 0.5 - 0.6 + 0.3),  # ... and goes on at half the size.
    ],
)
def test_by_hand(name: str, options: dict[str, Any], gradients: list[float], expected: float) -> None:
    assert stepped(name, gradients, **options) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_asgd_averages_the_parameters_after_t0() -> None:
    p = ag.tensor([1.0], requires_grad=True)
    optimizer = ag.optim.ASGD([p], lr=0.25, lambd=0.0, t0=0)
    found = []
    for _ in range(4):
        p.grad = ag.ones(1)
        optimizer.step()
        found.append(optimizer.state[p]["ax"].tolist()[0])
    # The parameter goes 0.75, 0.5, 0.25, 0; the weights of the mean are 1, 1, 1/2, 1/3.
    assert found == pytest.approx([0.75, 0.5, 0.375, 0.25])


def test_the_first_step_sizes_are_the_rate_even_if_that_is_a_tensor() -> None:
    p = ag.ones(3, requires_grad=True)
    optimizer = ag.optim.Rprop([p], lr=ag.tensor(0.5))
    p.grad = ag.tensor([1.0, -2.0, 0.0])
    optimizer.step()
    assert p.tolist() == [0.5, 1.5, 1.0] and optimizer.state[p]["step_size"].tolist() == [0.5] * 3


# -- behaviour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES} - {"Adafactor"}))  # It divides by a mean of all.
def test_a_nan_stays_where_it_is(name: str) -> None:
    p = ag.ones(3, requires_grad=True)
    optimizer = getattr(ag.optim, name)([p], lr=0.1, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {}))
    for gradient in ([1.0, float("nan"), 1.0], [1.0, 1.0, 1.0]):
        p.grad = ag.tensor(gradient)
        optimizer.step()
    assert [v != v for v in p.tolist()] == [False, True, False]


def test_moments_of_float16_may_be_denormal() -> None:
    for name, options, gradient, expected in [
        ("Adam", {}, 0.2, 0.990234375),  # The second moment is 4e-5.
        ("SGD", {"momentum": 0.5}, 2e-5, 1.0),
    ]:
        p = ag.nn.Parameter(ag.tensor([1.0], dtype=ag.float16))
        optimizer = getattr(ag.optim, name)([p], lr=0.01, **options)
        p.grad = ag.tensor([gradient], dtype=ag.float16)
        optimizer.step()
        assert p.tolist() == [expected]
    assert ag.equal(optimizer.state[p]["momentum_buffer"], p.grad)


def test_groups_have_their_own_options_and_empty_tensors_pass() -> None:
    a, b, c = (ag.ones(n, requires_grad=True) for n in (2, 2, 0))
    optimizer = ag.optim.SGD([{"params": [a]}, {"params": b, "lr": 0.25}], lr=0.5)
    optimizer.add_param_group({"params": [c], "momentum": 0.5})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.25, 0.5]
    for p in (a, b, c):
        p.grad = ag.ones(p.shape)
    optimizer.step()
    assert (a.tolist(), b.tolist()) == ([0.5, 0.5], [0.75, 0.75])


def test_the_rate_may_be_a_tensor() -> None:
    lr = ag.tensor(0.5)
    p = ag.ones(1, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=lr)
    p.grad = ag.ones(1)
    optimizer.step()
    lr.fill_(0.25)
    optimizer.step()
    assert p.tolist() == [0.25]


def test_gradients_that_are_strided_or_parameters_that_are() -> None:
    expected = [[0.5, 0.0], [0.0, -1.0]]
    straight = ag.ones(2, 2, requires_grad=True)
    straight.grad = ag.tensor([[1.0, 2.0], [2.0, 4.0]]).t()
    turned = ag.ones(2, 2).t().requires_grad_()
    turned.grad = ag.tensor([[1.0, 2.0], [2.0, 4.0]])
    ag.optim.SGD([straight, turned], lr=0.5).step()
    assert straight.tolist() == turned.tolist() == expected


def test_an_update_is_an_inplace_change_that_backward_sees() -> None:
    p = ag.ones(2, requires_grad=True)
    loss = (p * p).sum()
    p.grad = ag.ones(2)
    ag.optim.SGD([p], lr=0.5).step()
    with pytest.raises(RuntimeError, match="SGD.step"):
        loss.backward()


def test_closure_runs_with_gradients_on_and_its_loss_is_returned() -> None:
    p = ag.ones(1, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.5)

    def closure() -> ag.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with ag.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert p.tolist() == [0.0]


def test_zero_grad() -> None:
    p = ag.ones(2, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.5)
    optimizer.zero_grad()
    p.sum().backward()
    gradient = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is gradient and gradient.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_step_hooks() -> None:
    p = ag.ones(1, requires_grad=True)
    optimizer = ag.optim.SGD([p], lr=0.5)
    calls: list[str] = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("after"))
    p.grad = ag.ones(1)
    optimizer.step()
    before.remove()
    optimizer.step()
    assert calls == ["before", "after", "after"]


def test_an_optimizer_of_ones_own() -> None:
    class SignDescent(ag.optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @ag.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad.sign() * group["lr"])
                    self.state[p]["steps"] = self.state[p].get("steps", 0) + 1

    p = ag.ones(2, requires_grad=True)
    optimizer = SignDescent([p], lr=0.5)
    seen: list[bool] = []
    optimizer.register_step_post_hook(lambda *_: seen.append(True))
    (p * ag.tensor([3.0, -3.0])).sum().backward()
    optimizer.step()
    assert p.tolist() == [0.5, 1.5] and seen == [True]
    assert optimizer.state_dict()["state"] == {0: {"steps": 1}}


def run(name: str, optimizer: Any, params: list[Any], start: int, stop: int) -> list[Any]:
    for step in range(start, stop):
        set_gradients(ag, params, step)
        optimizer.step()
    return [p.tolist() for p in params]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_loaded_optimizer_goes_on_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    whole = parameters(ag, "float32")
    uninterrupted = getattr(ag.optim, name)(whole, **options)
    run(name, uninterrupted, whole, 0, 4)
    saved = copy.deepcopy(uninterrupted.state_dict())
    resumed = [p.detach().clone().requires_grad_() for p in whole]
    optimizer = getattr(ag.optim, name)(resumed)
    optimizer.load_state_dict(saved)
    pickled = pickle.loads(pickle.dumps(optimizer))
    expected = run(name, uninterrupted, whole, 4, 8)
    assert run(name, optimizer, resumed, 4, 8) == expected
    assert run(name, pickled, pickled.param_groups[0]["params"], 4, 8) == expected


@pytest.mark.parametrize(("name", "options"), CASES[1::4], ids=IDS[1::4])
def test_state_survives_a_checkpoint(name: str, options: dict[str, Any], tmp_path: Any) -> None:
    params = parameters(ag, "float32")
    optimizer = getattr(ag.optim, name)(params, **options)
    run(name, optimizer, params, 0, 2)
    ag.save(optimizer.state_dict(), tmp_path / "optimizer")
    assert plain(ag.load(tmp_path / "optimizer")) == plain(optimizer.state_dict())


def test_loading_copies_and_gives_the_dtype_of_the_parameter() -> None:
    p = ag.ones(2, dtype=ag.float64, requires_grad=True)
    optimizer = ag.optim.Adam([p])
    moments = ag.ones(2)
    state = {"step": 3, "exp_avg": moments, "exp_avg_sq": ag.ones(2)}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [{"params": [0], "lr": 0.5}]})
    loaded = optimizer.state[p]
    assert loaded["exp_avg"].dtype is ag.float64
    assert (loaded["step"].item(), loaded["step"].dtype) == (3.0, ag.float32)
    assert optimizer.param_groups[0]["lr"] == 0.5 and optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    p.grad = ag.ones(2, dtype=ag.float64)
    optimizer.step()
    assert moments.tolist() == [1.0, 1.0]


def test_repr_lists_the_options() -> None:
    text = repr(ag.optim.SGD([ag.ones(1, requires_grad=True)], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n") and "    lr: 0.5\n" in text
    two = repr(ag.optim.SGD([{"params": [ag.ones(1)]}, {"params": [ag.ones(1)]}], lr=0.5))
    assert "\n    weight_decay: 0\n\nParameter Group 1\n" in two and two.endswith("    weight_decay: 0\n)")


def test_named_parameters() -> None:
    p = ag.ones(1, requires_grad=True)
    optimizer = ag.optim.SGD([("weight", p)], lr=0.5)
    assert optimizer.param_groups[0]["param_names"] == ["weight"] and optimizer.param_groups[0]["params"] == [p]


# -- mistakes -----------------------------------------------------------------------------------------------


def leaf() -> ag.Tensor:
    return ag.ones(2, requires_grad=True)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("SGD", {"lr": -0.1}, ValueError, "Invalid learning rate: -0.1"),
        ("SGD", {"lr": float("nan")}, ValueError, "Invalid learning rate: nan"),
        ("SGD", {"lr": 0.1, "momentum": -1}, ValueError, "Invalid momentum value: -1"),
        ("SGD", {"lr": 0.1, "weight_decay": -1}, ValueError, "Invalid weight_decay value: -1"),
        ("SGD", {"lr": 0.1, "nesterov": True}, ValueError, "Nesterov momentum requires a momentum"),
        ("SGD", {"lr": 0.1, "foreach": True, "fused": True}, RuntimeError, "cannot be `True` together"),
        ("Adam", {"betas": (1.0, 0.9)}, ValueError, "beta parameter at index 0: 1.0"),
        ("Adam", {"betas": (0.9, -0.1)}, ValueError, "beta parameter at index 1: -0.1"),
        ("Adam", {"eps": -1e-8}, ValueError, "Invalid epsilon value"),
        ("Adam", {"differentiable": True, "fused": True}, RuntimeError, "does not support `differentiable`"),
        ("Adam", {"betas": (0.9, ag.tensor(0.99))}, ValueError, "both numbers or both Tensors"),
        ("AdamW", {"lr": ag.tensor(0.1), "foreach": True}, ValueError, "capturable=False"),
        ("NAdam", {"momentum_decay": -1}, ValueError, "Invalid momentum_decay value"),
        ("RMSprop", {"alpha": -1}, ValueError, "Invalid alpha value"),
        ("Adagrad", {"lr_decay": -1}, ValueError, "Invalid lr_decay value"),
        ("Adagrad", {"initial_accumulator_value": -1}, ValueError, "Invalid initial_accumulator_value"),
        ("RAdam", {"betas": (0.9, 1.0)}, ValueError, "beta parameter at index 1: 1.0"),
        ("Adadelta", {"rho": 1.5}, ValueError, "Invalid rho value: 1.5"),
        ("Adamax", {"lr": -1}, ValueError, "Invalid learning rate: -1"),
        ("ASGD", {"weight_decay": -1}, ValueError, "Invalid weight_decay value: -1"),
        ("Adafactor", {"eps": (-1e-30, 1e-3)}, ValueError, "eps should be"),
        ("Adafactor", {"eps": (None, -1)}, ValueError, "eps should be"),
        ("Adafactor", {"d": 0.5}, ValueError, "threshold d"),
        ("Adafactor", {"beta2_decay": 0.5}, ValueError, "beta2_decay should be"),
        ("Rprop", {"etas": (0.5, 0.9)}, ValueError, "Invalid eta values: 0.5, 0.9"),
    ],
)
def test_options_out_of_range(name: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(ag.optim, name)([leaf()], **options)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (lambda: [], ValueError, "empty parameter list"),
        (lambda: leaf(), TypeError, r"write \[tensor\]"),
        (lambda: 3, TypeError, "got int|not int"),
        (lambda: leaf, TypeError, "call it"),
        (lambda: ["weight"], TypeError, "one of the params is str"),
        (lambda: [leaf() * 2], ValueError, "non-leaf"),
        (lambda: [{"params": {leaf()}}], TypeError, "set"),
        (lambda: [{"lr": 0.1}], ValueError, "needs the key 'params'"),
        (lambda: [{"params": [leaf()], "lr": -1.0}], ValueError, "Invalid learning rate"),
        (lambda: [("a", leaf()), leaf()], ValueError, "name all or none"),
        (lambda: [{"params": p, "lr": 1.0} for p in [leaf()] * 2], ValueError, "more than one parameter group"),
    ],
)
def test_parameters_that_cannot_be(params: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ag.optim.SGD(params(), lr=0.1)


def test_a_parameter_twice_in_a_group_warns() -> None:
    p = leaf()
    with pytest.warns(UserWarning, match="duplicate"):
        ag.optim.SGD([p, p], lr=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("state"), "got keys"),
        (lambda s: s["param_groups"].append(s["param_groups"][0]), "different number of parameter groups: 2"),
        (lambda s: s["param_groups"][0]["params"].append(1), "doesn't match the size"),
        (lambda s: s["state"][0].update(exp_avg=ag.ones(3)), r"'exp_avg' of parameter 0 has shape \(3,\)"),
    ],
)
def test_a_state_that_does_not_fit_leaves_all_as_it_was(change: Any, message: str) -> None:
    p = leaf()
    optimizer = ag.optim.Adam([p])
    p.grad = ag.ones(2)
    optimizer.step()
    before = plain(optimizer.state_dict())
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0]["lr"] = 0.5
    change(saved)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    assert plain(optimizer.state_dict()) == before


def test_rate_of_several_elements() -> None:
    with pytest.raises(ValueError, match="1-element"):
        ag.optim.SGD([leaf()], lr=ag.ones(2))
