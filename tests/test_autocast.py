"""`autocast`: what it casts and when, what it refuses, and its numbers, against PyTorch."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import autograd_core as ag
from autograd_core.amp import switching

F = ag.nn.functional


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


@pytest.fixture
def on(device: str) -> Callable[..., Any]:
    """Autocast on the device of this run."""

    def make(dtype: Any = ag.float16, **options: Any) -> Any:
        return ag.autocast(device, dtype=dtype, **options)

    return make


@pytest.fixture(autouse=True)
def _off_afterwards() -> Iterator[None]:
    yield
    assert switching._count == 0, "the test left autocast on"


# -- what is cast, and when -------------------------------------------------------------------------------


def test_nesting_and_switching_off_inside(on: Any) -> None:
    a = ag.ones(2, 2)
    with on():
        assert (a @ a).dtype is ag.float16
        with on(enabled=False):
            assert (a @ a).dtype is ag.float32
            with on():
                assert ag.mm(a, a).dtype is ag.float16
            assert ag.mm(a, a).dtype is ag.float32
        assert F.linear(a, a).dtype is ag.float16
    assert (a @ a).dtype is ag.float32


def test_an_exception_leaves_it_as_it_was(on: Any, device: str) -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"), on():
        ag.ones(2, 3) @ ag.ones(2, 3)
    assert not ag.is_autocast_enabled(device)


def test_as_a_decorator_that_calls_itself(on: Any) -> None:
    @on()
    def product(n: int) -> Any:
        inner = product(n - 1) if n else ag.ones(2, 2)
        return inner @ ag.ones(2, 2)

    assert product(3).dtype is ag.float16
    assert (ag.ones(2, 2) @ ag.ones(2, 2)).dtype is ag.float32
    assert product.__name__ == "product"


def test_every_reference_to_an_operation_follows(on: Any) -> None:
    from autograd_core import matmul
    from autograd_core.nn.functional import linear
    from autograd_core.ops.products import matmul as inner

    a = ag.ones(2, 2)
    with on():
        results = [
            matmul(a, a),
            inner(a, a),
            linear(a, a),
            a.matmul(a),
            a @ a,
            ag.Tensor.matmul(a, a),
            ag.nn.Linear(2, 2)(a),
        ]
        assert [y.dtype for y in results] == [ag.float16] * len(results)


def test_float64_and_integers_are_left_alone(on: Any) -> None:
    with on():
        assert (ag.ones(2, 2, dtype=ag.float64) @ ag.ones(2, 2, dtype=ag.float64)).dtype is ag.float64
        assert (ag.ones(2, 2, dtype=ag.int64) @ ag.ones(2, 2, dtype=ag.int64)).dtype is ag.int64


def test_in_place_and_out_are_left_alone(on: Any) -> None:
    a, target = ag.ones(2, 2), ag.empty(2, 2)
    with on():
        assert ag.mm(a, a, out=target).dtype is ag.float32
        x = ag.full((2, 2), 0.1)
        x.addmm_(ag.full((2, 2), 0.1), ag.full((2, 2), 0.1))
    assert x.dtype is ag.float32 and abs(x[0, 0].item() - 0.12) < 1e-7  # float16 is off by 1e-5 here.


def test_off_the_functions_are_as_before(on: Any) -> None:
    before = [f.__code__ for f in (F.linear, ag.Tensor.exp, F.cross_entropy)], inspect.signature(F.linear)
    with on():
        assert F.linear.__code__ is not before[0][0]
    assert ([f.__code__ for f in (F.linear, ag.Tensor.exp, F.cross_entropy)], inspect.signature(F.linear)) == before


def test_frames_can_be_looked_into(on: Any) -> None:
    """What stands before a function of many free variables is a function like others to debuggers."""
    with on(), pytest.raises(TypeError) as caught:
        ag.Tensor.exp(ag.ones(2), *[1, 2, 3])
    frame: Any = caught.tb
    seen = []
    while frame is not None:
        seen.append(dict(frame.tb_frame.f_locals))
        frame = frame.tb_next
    assert any("free0" in names for names in seen)


def test_other_threads_are_not_concerned(on: Any, device: str) -> None:
    found: list[Any] = []

    def work() -> None:
        with ag.device(device):
            found.append(((ag.ones(2, 2) @ ag.ones(2, 2)).dtype, ag.is_autocast_enabled(device)))
            with on():
                found.append(((ag.ones(2, 2) @ ag.ones(2, 2)).dtype, ag.is_autocast_enabled(device)))

    with on():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert (ag.ones(2, 2) @ ag.ones(2, 2)).dtype is ag.float16
    assert found == [(ag.float32, False), (ag.float16, True)]


def test_threads_that_come_and_go(on: Any, device: str) -> None:
    wrong: list[Any] = []

    def work(k: int) -> None:
        with ag.device(device):
            for i in range(60):
                expected = ag.float16 if (i + k) % 2 else ag.float32
                with on(enabled=bool((i + k) % 2)):
                    got = (ag.ones(2, 2) @ ag.ones(2, 2)).dtype
                if got is not expected:
                    wrong.append(got)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- gradients, and the cache -----------------------------------------------------------------------------


def test_gradients_have_the_dtype_of_their_leaves(on: Any) -> None:
    x, w = ag.ones(2, 3), ag.full((4, 3), 0.5, requires_grad=True)
    with on():
        loss = F.mse_loss(F.linear(x, w), ag.zeros(2, 4))
    assert loss.dtype is ag.float32
    loss.backward()
    assert w.grad is not None and w.grad.dtype is ag.float32
    assert w.grad.tolist() == [[0.75] * 3] * 4  # 2 / 8 * 1.5 * 2, exact in float16.


def test_backward_and_a_second_forward_within_one_block(on: Any) -> None:
    x, w = ag.ones(2, 3), ag.full((4, 3), 0.5, requires_grad=True)
    with on():
        for _ in range(2):
            F.linear(x, w).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [[4.0] * 3] * 4


def test_a_weight_is_cast_once(on: Any) -> None:
    w = ag.ones(2, 2, requires_grad=True)
    for options, shared in (({}, True), ({"cache_enabled": False}, False)):
        with on(**options):
            first, second = (w @ w).grad_fn.inputs, (w @ w).grad_fn.inputs
        assert (first[0] is first[1] is second[0]) == shared


def test_the_cache_notices_changes(on: Any, device: str) -> None:
    w = ag.ones(2, 2, requires_grad=True)
    x = ag.ones(1, 2)
    with on():
        assert (x @ w).tolist() == [[2.0, 2.0]]
        with ag.no_grad():
            w.mul_(3)
        assert (x @ w).tolist() == [[6.0, 6.0]]
        w.data = ag.zeros(2, 2)
        assert (x @ w).tolist() == [[0.0, 0.0]]
        with ag.no_grad():
            v = ag.ones(2, 2, requires_grad=True)
            x @ v
        assert (x @ v).requires_grad


def test_gradients_of_gradients(on: Any) -> None:
    x = ag.tensor([0.5, 2.0], requires_grad=True)
    with on():
        (g,) = ag.autograd.grad(ag.exp(x * 2).sum(), x, create_graph=True)
        (h,) = ag.autograd.grad(g.sum(), x)
    assert g.dtype is ag.float32
    assert h.tolist() == pytest.approx((4 * (x.detach() * 2).exp()).tolist(), rel=1e-3)


def test_checkpoint_runs_again_as_the_first_time(on: Any) -> None:
    x, w = ag.randn(3, 4), ag.randn(4, 4, requires_grad=True)

    def two(x: Any) -> Any:
        return ag.tanh(F.linear(ag.tanh(F.linear(x, w)), w))

    with on():
        plain = two(F.linear(x, w)).float().sum()
        again = ag.utils.checkpoint.checkpoint(two, F.linear(x, w), use_reentrant=False).float().sum()
    (expected,) = ag.autograd.grad(plain, w)
    (got,) = ag.autograd.grad(again, w)
    assert ag.allclose(got, expected, rtol=2e-3, atol=2e-3)  # Its casts are not shared: other roundings.


class _Product(ag.autograd.Function):
    seen: list[Any] = []

    @staticmethod
    @ag.amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return a.mm(b)

    @staticmethod
    @ag.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, g: Any) -> Any:
        a, b = ctx.saved_tensors
        _Product.seen.append((ag.is_autocast_enabled("cpu"), g.mm(b.t()).dtype))
        return g.mm(b.t()), a.t().mm(g)


class _InFloat32(ag.autograd.Function):
    @staticmethod
    @ag.amp.custom_fwd(device_type="cpu", cast_inputs=ag.float32)
    def forward(ctx: Any, a: Any, pair: Any) -> Any:
        assert pair[0].dtype is ag.float32 and pair[1].dtype is ag.int64
        assert not ag.is_autocast_enabled("cpu")
        return a.mm(a)

    @staticmethod
    @ag.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, g: Any) -> Any:
        return g, None


@pytest.mark.host("names the CPU")
def test_custom_functions() -> None:
    a = ag.ones(2, 2, requires_grad=True)
    _Product.seen.clear()
    with ag.autocast("cpu", dtype=ag.float16):
        y = _Product.apply(a, a)
        assert y.dtype is ag.float16
        half = ag.ones(2, dtype=ag.float16)
        assert _InFloat32.apply(a.half(), [half, ag.ones(1, dtype=ag.int64)]).dtype is ag.float32
    y.float().sum().backward()
    _Product.apply(a, a).sum().backward()
    assert _Product.seen == [(True, ag.float16), (False, ag.float32)]


# -- refusals and warnings --------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="device_type must be a str"):
        ag.autocast(ag.device("cpu"), dtype=ag.float16)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="unsupported device_type 'xpu'"):
        ag.autocast("xpu")
    with pytest.raises(RuntimeError, match=r"bfloat16 in PyTorch.*dtype=ag.float16"):
        ag.autocast("cpu")
    with pytest.raises(AttributeError, match="bfloat16"):
        ag.bfloat16  # noqa: B018
    with pytest.warns(UserWarning, match=r"only float16 is supported.*Disabling"):
        block = ag.autocast("cpu", dtype=ag.float32)
    with block:
        assert not ag.is_autocast_enabled("cpu")
    with pytest.raises(TypeError, match="needs a function"):
        ag.autocast("cpu", dtype=ag.float16)(3)  # type: ignore[type-var]
    with ag.autocast("cpu", enabled=False):  # Needs no dtype.
        pass


def test_binary_cross_entropy_is_refused_where_pytorch_refuses_it(device: str) -> None:
    p, y = ag.full((2,), 0.5), ag.ones(2)
    with ag.autocast(device, dtype=ag.float16):
        if device == "cpu":
            assert F.binary_cross_entropy(p.half(), y).dtype is ag.float32
        else:
            with pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
                F.binary_cross_entropy(p, y)
            assert F.binary_cross_entropy_with_logits(p.half(), y).dtype is ag.float32


@pytest.mark.skipif(ag.devices.is_available("cuda"), reason="there is a CUDA device")
def test_without_a_gpu_cuda_warns_and_stays_off() -> None:
    with pytest.warns(UserWarning, match="CUDA is not available. Disabling"):
        block = ag.autocast("cuda")
    with block:
        assert not ag.is_autocast_enabled("cuda")
    with pytest.warns(UserWarning, match="CUDA is not available. Disabling"):
        scaler = ag.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    loss = ag.ones(())
    assert scaler.scale(loss) is loss


def test_the_switches() -> None:
    assert ag.get_autocast_dtype("cuda") is ag.float16
    ag.set_autocast_dtype("cpu", ag.float16)
    try:
        with ag.autocast("cpu"):
            assert ag.is_autocast_enabled("cpu") and not ag.is_autocast_enabled("cuda")
        ag.set_autocast_enabled("cpu", True)
        assert F.linear(ag.ones(1, 1, device="cpu"), ag.ones(1, 1, device="cpu")).dtype is ag.float16
        ag.set_autocast_enabled("cpu", False)
        with pytest.raises(RuntimeError, match="expected ag.float16"):
            ag.set_autocast_dtype("cpu", ag.float64)
    finally:
        ag.amp.state.state.dtypes.clear()
    assert ag.is_autocast_cache_enabled()


def test_old_names() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ag.cuda.amp.GradScaler(enabled=False)
        ag.cuda.amp.autocast(enabled=False)
    assert [w.category for w in caught] == [FutureWarning, FutureWarning]


# -- against PyTorch --------------------------------------------------------------------------------------


def _both(torch: Any, *shape: int, seed: int = 0, dtype: str = "float32") -> tuple[Any, Any]:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(getattr(torch, dtype))
    return x, ag.tensor(x.numpy())


def test_every_rule_of_pytorch_is_known(torch: Any) -> None:
    """Its dispatcher knows for which operations autocast has a kernel."""
    from autograd_core.amp import rules

    absent = {
        "AutocastCPU": "_addmm_activation _convolution _grid_sampler_2d_cpu_fallback _lu_with_info "
        "_native_multi_head_attention conv_tbc fake_quantize_per_tensor_affine geqrf linalg_eig linalg_eigvals "
        "linalg_householder_product mkldnn_rnn_layer orgqr ormqr polar view_as_complex stft "
        "multilabel_margin_loss_forward",
        "AutocastCUDA": "_convolution _scaled_dot_product_flash_attention conv_tbc cudnn_convolution "
        "cudnn_convolution_transpose convolution frobenius_norm nuclear_norm _thnn_fused_gru_cell "
        "_thnn_fused_lstm_cell gru_cell lstm_cell rnn_relu_cell rnn_tanh_cell",
    }
    for key, lists in (("AutocastCPU", rules.CPU), ("AutocastCUDA", rules.CUDA)):
        has = torch._C._dispatch_has_kernel_for_dispatch_key
        theirs = {
            n[6:].partition(".")[0] for n in torch._C._dispatch_get_all_op_names() if n[:6] == "aten::" and has(n, key)
        }
        ours = {name for names in lists.values() for name in names.split()} | {"interpolate", "pad", "max_pool3d"}
        aliases = {"grid_sampler": "grid_sample", "cross_entropy_loss": "cross_entropy", "nll_loss2d": "nll_loss"}
        missing = {
            n
            for n in theirs - set(absent[key].split())
            if aliases.get(n, n) not in ours
            and not n.startswith(
                ("fft_", "grid_sampler_", "upsample_", "_upsample_", "reflection_pad", "replication_pad")
            )
        }
        assert not missing, f"{key}: {missing}"
        assert set(absent[key].split()) <= theirs, "a name is no longer in PyTorch's list"


@pytest.mark.host("compares with PyTorch's CPU")
def test_numbers_on_the_cpu(torch: Any) -> None:
    """Dtype and values of the operations of the CPU's lists, float16 in between as in PyTorch."""
    TF, cases = torch.nn.functional, []

    def case(name: str, theirs: Any, ours: Any, *pairs: tuple[Any, Any]) -> None:
        cases.append((name, theirs(*[p[0] for p in pairs]), ours(*[p[1] for p in pairs])))

    x, w, b = _both(torch, 5, 16), _both(torch, 7, 16, seed=1), _both(torch, 7, seed=2)
    image, kernel = _both(torch, 2, 3, 8, 8), _both(torch, 4, 3, 3, 3, seed=3)
    q, k = _both(torch, 2, 5, 8), _both(torch, 2, 5, 8, seed=4)
    half, other = _both(torch, 5, 7, dtype="float16"), _both(torch, 5, 7, seed=5, dtype="float16")
    labels = torch.arange(5), ag.arange(5)
    with torch.autocast("cpu", dtype=torch.float16), ag.autocast("cpu", dtype=ag.float16):
        case("linear", TF.linear, F.linear, x, w, b)
        case("conv2d", TF.conv2d, F.conv2d, image, kernel)
        case(
            "conv_transpose2d",
            TF.conv_transpose2d,
            F.conv_transpose2d,
            image,
            (kernel[0].permute(1, 0, 2, 3), kernel[1].permute(1, 0, 2, 3)),
        )
        case("addmm", torch.addmm, ag.addmm, b, x, (w[0].t(), w[1].t()))
        case("baddbmm", torch.baddbmm, ag.baddbmm, (q[0] @ k[0].mT, q[1] @ k[1].mT), q, (k[0].mT, k[1].mT))
        case("attention", TF.scaled_dot_product_attention, F.scaled_dot_product_attention, q, k, k)
        case("prelu", TF.prelu, F.prelu, x, (torch.full((1,), 0.3), ag.full((1,), 0.3)))
        for loss in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits"):
            case(loss, getattr(TF, loss), getattr(F, loss), half, other)
        case(
            "kl_div",
            lambda x, y: TF.kl_div(x, y, reduction="sum"),
            lambda x, y: F.kl_div(x, y, reduction="sum"),
            half,
            (other[0].abs(), other[1].abs()),
        )
        for loss in ("cross_entropy", "nll_loss", "multi_margin_loss"):
            case(loss, getattr(TF, loss), getattr(F, loss), half, labels)
        case("prod", torch.prod, ag.prod, half)
        case("quantile", lambda t: torch.quantile(t, 0.3), lambda t: ag.quantile(t, 0.3), half)
        case("cdist", torch.cdist, ag.cdist, half, other)
        case(
            "stack",
            lambda a, b: torch.stack([a, b]),
            lambda a, b: ag.stack([a, b]),
            half,
            (other[0].float(), other[1].float()),
        )
        case("cat", lambda a, b: torch.cat([a, b]), lambda a, b: ag.cat([a, b]), half, other)
        for name in ("sum", "exp", "softmax", "log_softmax", "mean", "std"):
            args = (0,) if "softmax" in name else ()
            case(
                name,
                lambda t, n=name, a=args: getattr(torch, n)(t, *a),
                lambda t, n=name, a=args: getattr(ag, n)(t, *a),
                half,
            )
        case(
            "layer_norm",
            lambda t, w, b: TF.layer_norm(t, (7,), w, b),
            lambda t, w, b: F.layer_norm(t, (7,), w, b),
            half,
            b,
            b,
        )
        case(
            "batch_norm",
            lambda t, w: TF.batch_norm(t, None, None, w, w, True),
            lambda t, w: F.batch_norm(t, None, None, w, w, True),
            half,
            b,
        )
    for name, expected, got in cases:
        assert str(got.dtype) == f"ag.{str(expected.dtype)[6:]}", name
        difference = (expected.double() - torch.from_numpy(got.double().numpy())).abs().max().item()
        # One rounding to float16 of numbers of this size, or of their inputs.
        scale = max(1.0, expected.abs().max().item())
        assert difference <= 2e-3 * scale, f"{name}: {difference} of {scale}"


MODULES: dict[str, Any] = {
    "mlp": (lambda nn: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)), (4, 6)),
    "cnn": (
        lambda nn: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        (4, 2, 6, 6),
    ),
    "transformer": (lambda nn: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (3, 5, 8)),
}  # fmt: skip


@pytest.mark.host("compares with PyTorch's CPU")
@pytest.mark.parametrize("name", MODULES)
def test_a_step_of_training(torch: Any, name: str) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    theirs, ours = make(torch.nn), make(ag.nn)
    ours.load_state_dict({key: ag.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    x, y = _both(torch, *shape)
    with torch.autocast("cpu", dtype=torch.float16):
        expected = theirs(x)
        loss = (expected.float() ** 2).mean()
    loss.backward()
    with ag.autocast("cpu", dtype=ag.float16):
        got = ours(y)
        (got.float() ** 2).mean().backward()
    assert str(got.dtype)[3:] == str(expected.dtype)[6:]
    for (key, p), q in zip(theirs.named_parameters(), ours.parameters()):
        assert q.grad.dtype is ag.float32
        difference = (p.grad - torch.from_numpy(q.grad.numpy())).abs().max().item()
        assert difference <= 4e-3 * max(1.0, p.grad.abs().max().item()), f"{key}: {difference}"


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_networks(kind: str, device: str, on: Any) -> None:
    net, x = getattr(ag.nn, kind)(3, 4), ag.randn(5, 2, 3)
    cell = getattr(ag.nn, f"{kind}Cell")(3, 4)
    expected, _ = net(x)
    with on():
        y, _ = net(x)
        h = cell(x[0])
    assert ag.allclose(y.float(), expected, atol=5e-3)
    y.float().sum().backward()
    assert net.weight_hh_l0.grad.dtype is ag.float32
    if device != "cpu":
        assert y.dtype is ag.float16 and (h[0] if kind == "LSTM" else h).dtype is ag.float16
