"""Module: registration, state, hooks, conversion, text; containers; utilities."""

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag
from autograd_core import nn
from autograd_core.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])
        self.scale = nn.Parameter(ag.ones(2))
        self.register_buffer("offset", ag.zeros(2))
        self.register_buffer("scratch", ag.zeros(5), persistent=False)
        self.plain = ag.zeros(7)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = self.norm(self.first(x)).relu()
        for layer in self.layers:
            x = layer(x)
        return x * self.scale + self.offset


def test_assignment_registers() -> None:
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names == [
        "scale", "first.weight", "first.bias", "norm.weight", "norm.bias",
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias",
    ]  # fmt: skip
    assert [name for name, _ in net.named_buffers(recurse=False)] == ["offset", "scratch"]
    assert "plain" not in net.state_dict() and "scratch" not in net.state_dict()
    assert [name for name, _ in net.named_children()] == ["first", "norm", "layers"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "norm", "layers", "layers.0", "layers.1"]
    assert len(list(net.parameters())) == 9 and len(list(net.modules())) == 6 and len(list(net.children())) == 3
    assert {"scale", "offset", "first"} <= set(dir(net))
    assert net(ag.ones(2, 3)).shape == (2, 2)


def test_an_attribute_can_change_its_kind() -> None:
    m: Any = nn.Module()
    m.x = 3
    m.x = nn.Parameter(ag.ones(1))
    assert list(m._parameters) == ["x"] and "x" not in m.__dict__
    m.x = None
    assert m.x is None and list(m.named_parameters()) == []
    m.x = nn.Parameter(ag.ones(1))
    del m.x
    assert not hasattr(m, "x")
    m.x = nn.Linear(1, 1)
    m.x = nn.Parameter(ag.zeros(1))
    assert not m._modules and m.x.tolist() == [0.0]
    m.y = nn.Buffer(ag.ones(1), persistent=False)
    assert isinstance(m.y, nn.Buffer) and list(m.state_dict()) == ["x"]
    m.y = ag.zeros(2)  # A buffer takes any tensor, and stays what it was.
    assert [n for n, _ in m.named_buffers()] == ["y"] and list(m.state_dict()) == ["x"]
    m.z = nn.Parameter(ag.ones(1), requires_grad=False)
    assert not m.z.requires_grad
    assert repr(nn.Parameter(ag.zeros(1))).startswith("Parameter containing:\ntensor([0.]")


class NoInit(nn.Module):
    def __init__(self, what: Callable[[Any], None]) -> None:
        what(self)


def assign(module: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(module, name, value)


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    (lambda: NoInit(lambda m: assign(m, fc=nn.Linear(1, 1))), AttributeError, ("'fc'", "super().__init__()", "NoInit")),
    (lambda: NoInit(lambda m: assign(m, w=nn.Parameter(ag.ones(1)))), AttributeError, ("'w'", "super().__init__()")),
    (lambda: NoInit(lambda m: assign(m, b=nn.Buffer(ag.ones(1)))), AttributeError, ("'b'", "super().__init__()")),
    (lambda: NoInit(lambda m: m.register_buffer("b", None)), AttributeError, ("'b'", "super().__init__()")),
    (lambda: list(NoInit(lambda m: None).parameters()), AttributeError, ("super().__init__()", "NoInit")),
    (lambda: nn.Module().weight, AttributeError, ("'Module'", "'weight'")),
    (lambda: nn.Module()(1), NotImplementedError, ("forward", "Module")),
    (lambda: nn.Module(3), TypeError, ("1 positional",)),
    (lambda: assign(nn.Linear(1, 1), weight=ag.ones(1, 1)), TypeError, ("'weight'", "nn.Parameter")),
    (lambda: assign(nn.Linear(1, 1), weight=nn.Linear(1, 1)), TypeError, ("'weight'", "nn.Parameter")),
    (lambda: assign(nn.Sequential(nn.ReLU()), **{"0": 3}), TypeError, ("'0'", "nn.Module")),
    (lambda: assign(nn.BatchNorm1d(1), running_mean=3), TypeError, ("'running_mean'", "Tensor")),
    (lambda: nn.Module().register_parameter("w", ag.ones(1)), TypeError, ("'w'", "nn.Parameter")),
    (lambda: nn.Module().register_parameter("a.b", None), KeyError, ("dot", "a.b")),
    (lambda: nn.Module().register_buffer("", None), KeyError, ("empty",)),
    (lambda: nn.Module().register_buffer("b", 3), TypeError, ("'b'", "int")),
    (lambda: nn.Module().register_buffer("forward", None), KeyError, ("'forward'", "already exists")),
    (lambda: nn.Module().add_module("m", 3), TypeError, ("int", "Module")),
    (lambda: nn.Module().register_parameter("w", leafless()), ValueError, ("'w'", "leaves")),
    (lambda: nn.Sequential(3), TypeError, ("int", "Module")),
    (lambda: nn.Sequential(nn.ReLU())[1], IndexError, ("1", "Sequential")),
    (lambda: nn.ModuleList(nn.ReLU()), TypeError, ("iterable", "ReLU")),
    (lambda: nn.ParameterList(ag.ones(2)), TypeError, ("iterable", "Tensor")),
    (lambda: nn.Parameter([1.0]), TypeError, ("list", "ag.tensor")),
    (lambda: nn.Parameter(ag.tensor([1])), RuntimeError, ("floating point",)),
    (lambda: nn.Linear(1, 1).to(ag.int64), TypeError, ("floating point", "int64")),
    (lambda: nn.Linear(1, 1).to([]), TypeError, ("list",)),
    (lambda: nn.Linear(1, 1).train("yes"), ValueError, ("boolean", "yes")),
    (lambda: Net().get_submodule("layers.7"), AttributeError, ("`7`", "layers.7")),
    (lambda: Net().get_submodule("plain"), AttributeError, ("`plain`", "not an nn.Module")),
    (lambda: Net().get_parameter("first.scale"), AttributeError, ("Linear", "`scale`")),
    (lambda: Net().get_buffer("first.weight"), AttributeError, ("buffer", "`weight`")),
    (lambda: nn.Linear(2, 1).load_state_dict(3), TypeError, ("dict-like", "int")),
    (lambda: vector_to_parameters(ag.zeros(3), [ag.zeros(2)]), ValueError, ("2 values", "(3,)")),
    (lambda: vector_to_parameters([0.0], [ag.zeros(1)]), TypeError, ("list",)),
]  # fmt: skip


def leafless() -> Any:
    p = nn.Parameter(ag.ones(1))
    t = nn.Parameter(ag.ones(1))
    t._node = (p * 2)._node
    return t


@pytest.mark.parametrize(("call", "error", "parts"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], parts: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for part in parts:
        assert part in str(caught.value)


# -- state ------------------------------------------------------------------------------------------------


def test_state_dict_equals_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")

    def build(nn: Any) -> Any:
        shared = nn.Linear(4, 4)
        return nn.Sequential(
            OrderedDict(
                a=shared,
                b=nn.ModuleDict({"x": nn.BatchNorm2d(2), "y": nn.ModuleList([shared, nn.PReLU()])}),
                c=nn.LayerNorm(3),
            )
        )

    mine, theirs = build(nn), build(torch.nn)
    assert list(mine.state_dict(prefix="p.")) == list(theirs.state_dict(prefix="p."))
    assert mine.state_dict()._metadata == theirs.state_dict()._metadata
    assert [n for n, _ in mine.named_parameters("net")] == [n for n, _ in theirs.named_parameters("net")]
    for duplicates in (True, False):
        ours = [n for n, _ in mine.named_parameters(remove_duplicate=duplicates)]
        assert ours == [n for n, _ in theirs.named_parameters(remove_duplicate=duplicates)]
        ours = [n for n, _ in mine.named_modules(remove_duplicate=duplicates)]
        assert ours == [n for n, _ in theirs.named_modules(remove_duplicate=duplicates)]
    # PyTorch's tensors load as they are.
    assert not mine.load_state_dict(theirs.state_dict()).missing_keys
    assert mine.a.weight.tolist() == theirs.a.weight.tolist()


def test_state_dict_shares_memory_and_has_no_history() -> None:
    layer = nn.Linear(2, 1)
    state = layer.state_dict()
    with ag.no_grad():
        layer.weight.fill_(5)
    assert state["weight"].tolist() == [[5.0, 5.0]] and not state["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight


def test_load_copies_into_the_same_parameters() -> None:
    source, target = Net(), Net()
    weight = target.first.weight
    result = target.load_state_dict(source.state_dict())
    assert repr(result) == "<All keys matched successfully>" and result == ([], [])
    assert target.first.weight is weight and ag.equal(weight, source.first.weight)
    assert weight.requires_grad and weight.grad_fn is None
    with ag.no_grad():
        source.first.weight.zero_()
    assert not ag.equal(weight, source.first.weight)
    target.load_state_dict(source.state_dict(), assign=True)
    assert target.first.weight is not weight and isinstance(target.first.weight, nn.Parameter)
    assert target.first.weight.requires_grad and ag.equal(target.first.weight, source.first.weight)


def test_wrong_state_is_named() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = net.state_dict()
    del state["0.bias"]
    state["2.weight"] = ag.zeros(1)
    state["0.extra"] = ag.zeros(1)
    state["1.weight"] = ag.zeros(1, 4)
    state["1.bias"] = "text"
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "for Sequential" in message
    assert 'Missing key(s) in state_dict: "0.bias"' in message
    assert 'Unexpected key(s) in state_dict: "2.weight", "0.extra"' in message
    assert "size mismatch for 1.weight" in message and "[1, 4]" in message and "[1, 3]" in message
    assert '"1.bias"' in message and "str" in message
    good = net.state_dict()
    del good["0.bias"]
    good["x"] = ag.zeros(1)
    result = net.load_state_dict(good, strict=False)
    assert result.missing_keys == ["0.bias"] and result.unexpected_keys == ["x"]
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"0.bias": ag.zeros(4)}, strict=False)
    with pytest.raises(RuntimeError, match="size mismatch for num_batches_tracked"):
        nn.BatchNorm1d(2).load_state_dict({"num_batches_tracked": ag.zeros(1)}, strict=False)


def test_state_survives_a_file(tmp_path: Path) -> None:
    source, target = Net(), Net()
    source(ag.ones(2, 3))  # moves the running statistics
    ag.save(source.state_dict(), tmp_path / "net.safetensors")
    target.load_state_dict(ag.load(tmp_path / "net.safetensors"))
    for name, t in source.state_dict().items():
        assert ag.equal(t, target.state_dict()[name]), name


def test_batch_norm_state_before_counting_loads() -> None:
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    layer.load_state_dict(state)
    state._metadata[""]["version"] = 2
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        layer.load_state_dict(state)


class WithExtra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Any = None

    def get_extra_state(self) -> Any:
        return {"n": 3}

    def set_extra_state(self, state: Any) -> None:
        self.seen = state


def test_extra_state_and_hooks_of_the_state() -> None:
    net = nn.Sequential(WithExtra(), nn.Linear(1, 1))
    assert net.state_dict()["0._extra_state"] == {"n": 3}
    calls: list[str] = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: calls.append("pre"))
    net.register_state_dict_post_hook(lambda module, state, prefix, meta: state.pop("1.bias"))
    state = net.state_dict()
    assert calls == ["pre"] and "1.bias" not in state

    def rename(module: Any, state: Any, prefix: str, *rest: Any) -> None:
        state["1.bias"] = state.pop("old")

    net.register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    state |= {"old": ag.tensor([7.0]), "unknown": ag.zeros(1)}
    net.load_state_dict(state)
    assert net[0].seen == {"n": 3} and net[1].bias.tolist() == [7.0]
    assert "old" in state  # The caller's mapping is left alone.


def test_copies_and_pickles() -> None:
    net = Net()
    net.tied = net.first
    net.eval()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin is not net and not twin.training and isinstance(twin.first.weight, nn.Parameter)
        assert twin.tied is twin.first and twin.first.weight is not net.first.weight
        assert twin.first.weight.requires_grad and "scratch" not in twin.state_dict()
        x = ag.ones(2, 3)
        assert ag.equal(twin(x), net(x))
        with ag.no_grad():
            twin.first.weight.zero_()
        assert not ag.equal(twin(x), net(x))
    buffer = copy.deepcopy(nn.Buffer(ag.ones(1), persistent=False))
    assert isinstance(buffer, nn.Buffer) and not buffer.persistent


# -- conversion and modes ---------------------------------------------------------------------------------


def test_conversion_keeps_the_parameters_identity() -> None:
    net = Net()
    net(ag.ones(2, 3)).sum().backward()
    before = {name: p for name, p in net.named_parameters()}
    net.double()
    for name, p in net.named_parameters():
        assert p is before[name] and p.dtype is ag.float64 and p.grad.dtype is ag.float64 and p.is_leaf
    assert net.offset.dtype is ag.float64 and net.norm.num_batches_tracked.dtype is ag.int64
    assert net(ag.ones(2, 3, dtype=ag.float64)).dtype is ag.float64
    assert net.half().scale.dtype is ag.float16 and net.float().scale.dtype is ag.float32
    device = net.scale.device
    assert net.to(device, ag.float64).scale.dtype is ag.float64
    assert net.to(dtype=ag.float32, device=str(device)).scale.dtype is ag.float32
    assert net.to(ag.zeros(1, dtype=ag.float64)).scale.dtype is ag.float64
    assert net.cpu().scale.device == ag.device("cpu")


def test_an_optimiser_made_before_the_conversion_updates_the_module() -> None:
    net = nn.Linear(2, 1)
    optimizer = ag.optim.SGD(net.parameters(), lr=1.0)
    net.to(ag.float64)
    before = net.weight.tolist()
    net(ag.tensor([[1.0, 2.0]], dtype=ag.float64)).sum().backward()
    optimizer.step()
    assert net.weight.dtype is ag.float64
    assert net.weight.tolist() == [[before[0][0] - 1.0, before[0][1] - 2.0]]


def test_modes_and_gradients() -> None:
    net = Net()
    assert net.eval() is net and not net.layers[1].training and net.train().norm.training
    net(ag.ones(2, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0.0, 0.0]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters()) and not net(ag.ones(2, 3)).requires_grad
    seen: list[str] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "BatchNorm1d", "Linear", "Linear", "ModuleList", "Net"]
    assert net.get_submodule("layers.1") is net.layers[1] and net.get_submodule("") is net
    assert net.get_parameter("layers.1.bias") is net.layers[1].bias
    assert net.get_buffer("norm.running_mean") is net.norm.running_mean
    net.set_submodule("layers.1", nn.Identity())
    assert isinstance(net.layers[1], nn.Identity)


# -- hooks ------------------------------------------------------------------------------------------------


def test_forward_hooks() -> None:
    layer, log = nn.Identity(), []
    x = ag.ones(1)
    first = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    layer.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] * 2,), kwargs), with_kwargs=True, prepend=True)
    layer.register_forward_hook(lambda m, args, out: log.append(out.item()))
    layer.register_forward_hook(lambda m, args, kwargs, out: out * 10, with_kwargs=True)
    assert layer(x).item() == 30 and log == [3.0]
    first.remove()
    assert layer(x).item() == 20
    with layer.register_forward_hook(lambda m, args, out: out + 1):
        assert layer(x).item() == 21
    assert layer(x).item() == 20

    class Broken(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ZeroDivisionError

    broken, seen = Broken(), []
    broken.register_forward_hook(lambda m, args, out: seen.append("only after success"))
    broken.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(ZeroDivisionError):
        broken(x)
    assert seen == [None]
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="tuple"):
        layer(x)


BACKWARD_HOOKS = """
class Two(torch.nn.Module):
    def forward(self, x, k, y):
        return x * y, y * k

net, log = Two(), []
def show(grads):
    return [None if g is None else g.tolist() for g in grads]
net.register_full_backward_pre_hook(lambda m, out: log.append(("pre", show(out))))
net.register_full_backward_pre_hook(lambda m, out: (out[0] * 2, out[1]))
net.register_full_backward_hook(lambda m, inp, out: log.append(("full", show(inp), show(out))))
net.register_full_backward_hook(lambda m, inp, out: (inp[0] * 10, None, inp[2]))
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = torch.tensor([3.0, 4.0], requires_grad=True)
a, b = net(x * 1, 5, y * 1)
(a.sum() + 3 * b.sum()).backward()
log.append((x.grad.tolist(), y.grad.tolist()))
a, b = net(x.detach(), 5, y * 1)
b.sum().backward()
log.append(y.grad.tolist())
layer = torch.nn.Linear(2, 2)
torch.nn.init.ones_(layer.weight)
layer.register_full_backward_hook(lambda m, inp, out: log.append((show(inp), show(out))))
layer(torch.ones(1, 2)).sum().backward()
log.append(layer.weight.grad.tolist())
with torch.no_grad():
    layer(x)
"""

BACKWARD_LOG: list[Any] = [
    ("pre", [[1.0, 1.0], [3.0, 3.0]]),
    ("full", [[6.0, 8.0], None, [17.0, 19.0]], [[2.0, 2.0], [3.0, 3.0]]),
    ([60.0, 80.0], [17.0, 19.0]),
]


def run_hooks(torch: Any) -> list[Any]:
    source = BACKWARD_HOOKS.split("a, b = net(x.detach()")
    scope: dict[str, Any] = {"torch": torch}
    exec(source[0] + "layer = " + source[1].split("layer = ", 1)[1], scope)
    return scope["log"]  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks() -> None:
    log = run_hooks(ag)
    assert log[:3] == BACKWARD_LOG
    assert log[3:] == [([None], [[[1.0, 1.0]]]), [[1.0, 1.0], [1.0, 1.0]]]
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    assert log == run_hooks(torch)


def test_backward_hook_forbids_silent_loss_by_in_place_changes() -> None:
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda m, inp, out: None)
    with pytest.raises(RuntimeError, match="relu_"):
        nn.Sequential(layer, nn.ReLU(inplace=True))(ag.ones(1, 2))
    layer.register_full_backward_hook(lambda m, inp, out: (inp[0], inp[0]))
    with pytest.raises(RuntimeError, match="1 gradients"):
        layer(ag.ones(1, 2, requires_grad=True)).sum().backward()


# -- containers -------------------------------------------------------------------------------------------

CONTAINERS = """
nn = torch.nn
net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
show(net); show(len(net)); show(net[-1]); show(net[1:]); show(list(net[:2].state_dict()))
net.append(nn.Tanh()); net.insert(1, nn.Sigmoid()); net.extend([nn.ReLU(), nn.ELU()]); show(net)
show(net.pop(0)); del net[0]; del net[1:3]; show(net); net[0] = nn.GELU(); show(net)
show(net + nn.Sequential(nn.SiLU())); net += nn.Sequential(nn.Softmax(1)); show(net); show(nn.Sequential(nn.ReLU()) * 2)
named = nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())); show(named); show(named[1:]); show(named.b)
items = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU()]); show(items)
items.append(nn.ReLU()); items.insert(0, nn.Tanh()); items.insert(3, nn.SiLU()); items.extend([nn.ELU()]); show(items)
items += [nn.Identity()]; show(items + [nn.SELU()]); show(items[1:3]); show(items.pop(-1)); del items[0]; show(items)
show([type(m).__name__ for m in items]); show(nn.ModuleList())
d = nn.ModuleDict({"a": nn.ReLU()}); d["b"] = nn.Tanh(); d.update([("c", nn.ELU())]); show(d); show("b" in d)
show(d.pop("a")); del d["b"]; show([k for k, v in d.items()]); show(len(d)); d.clear(); show(d)
p = nn.ParameterList([torch.zeros(2, 3), nn.Parameter(torch.zeros(())), 5]); show(list(p.state_dict())); show(len(p))
p.append(torch.ones(1)); p[0] = torch.ones(2); show([list(x.shape) for x in p[3:]]); show(len(list(p.parameters())))
show(isinstance(p[-1], nn.Parameter))
q = nn.ParameterDict({"a": torch.zeros(2), "b": torch.ones(1)}); show(list(q.keys())); show(list(q.state_dict()))
q["c"] = torch.zeros(3); show(q.pop("a").tolist()); del q["b"]; show([k for k, v in q.items()]); show("c" in q)
show(q.get("z")); show(len(q))
"""


def run_containers(torch: Any) -> list[str]:
    shown: list[str] = []
    exec(CONTAINERS, {"torch": torch, "OrderedDict": OrderedDict, "show": lambda value: shown.append(repr(value))})
    return shown


def test_containers_equal_pytorchs() -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    assert run_containers(ag) == run_containers(torch)


def test_containers() -> None:
    shown = run_containers(ag)
    assert shown[4] == "['0.weight', '0.bias']" and shown[-1] == "1"
    text = repr(nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU()]))
    assert text.splitlines()[1] == "  (0-1): 2 x Linear(in_features=1, out_features=1, bias=True)"
    values = nn.ParameterList([ag.zeros(2, 3), 5])
    where = "" if values[0].is_cpu else f" ({values[0].device})"
    first = f"    (0): Parameter containing: [ag.float32 of size 2x3{where}]"
    assert repr(values) == f"ParameterList(\n{first}\n    (1): Object of type: int\n)"
    assert "(a): Parameter containing: [ag.float32 of size 2" in repr(nn.ParameterDict({"a": ag.zeros(2)}))


# -- utilities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm_equals_pytorchs(norm_type: float, max_norm: float) -> None:
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    theirs = [torch.nn.Parameter(torch.randn(3, 2, dtype=torch.float64)) for _ in range(3)]
    mine = [nn.Parameter(ag.tensor(p.detach().numpy())) for p in theirs]
    for p, q in zip(theirs[:2], mine, strict=False):
        p.grad = torch.randn_like(p)
        q.grad = ag.tensor(p.grad.numpy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    total = clip_grad_norm_((p for p in mine), max_norm, norm_type)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for p, q in zip(theirs[:2], mine, strict=False):
        torch.testing.assert_close(torch.tensor(q.grad.tolist(), dtype=torch.float64), p.grad)
    assert mine[2].grad is None


def test_clipping() -> None:
    p = nn.Parameter(ag.zeros(2))
    p.grad = ag.tensor([3.0, 4.0])
    assert clip_grad_norm_(p, 10.0).item() == 5.0 and p.grad.tolist() == [3.0, 4.0]
    clip_grad_value_(p, 3.5)
    assert p.grad.tolist() == [3.0, 3.5]
    p.grad = ag.tensor([float("inf"), 1.0])
    with pytest.raises(RuntimeError, match="not finite"):
        clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist() == [float("inf"), 1.0]  # An error leaves the gradients alone.
    half = ag.full((4,), 300.0, dtype=ag.float16)
    assert get_total_norm([half]).item() == 600.0
    assert get_total_norm([]).item() == 0.0


def test_parameters_as_one_vector() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (13,) and vector.requires_grad
    values = ag.arange(13.0)
    vector_to_parameters(values, net.parameters())
    assert net[0].weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]] and net[1].bias.tolist() == [12.0]
    assert ag.equal(parameters_to_vector(net.parameters()).detach(), values)
    net(ag.ones(1, 2)).sum().backward()
    assert net[0].weight.grad is not None


def test_a_deep_copy_begins_without_gradients() -> None:
    module = nn.Linear(2, 1)
    module(ag.ones(1, 2)).sum().backward()
    assert all(p.grad is None and p.requires_grad for p in copy.deepcopy(module).parameters())
    leaf = ag.ones(2, requires_grad=True)
    leaf.sum().backward()
    assert ag.equal(copy.deepcopy(leaf).grad, ag.ones(2))  # type: ignore[arg-type]
