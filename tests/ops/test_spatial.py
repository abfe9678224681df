"""Spatial operations beside PyTorch's where the table of `test_neural.py` does not reach: integers, indices, bytes,
statistics, names kept for old programs."""

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.recorder import Recorder

F = ag.nn.functional


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")


def assert_equal(mine: Any, theirs: Any, tolerance: float = 0.0) -> None:
    mine, theirs = (tuple(y) if isinstance(y, tuple | list) else (y,) for y in (mine, theirs))
    for a, b in zip(mine, theirs, strict=True):
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1]
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance)


def integers(*shape: int, dtype: str = "int64", low: int = -9, high: int = 10) -> Any:
    return np.random.default_rng(3).integers(low, high, shape).astype(dtype)


# A function of `nn.functional`, ours or PyTorch's, and arrays
OF_INTEGERS = [
    (lambda F, x, w: F.conv1d(x, w, padding=1), ((2, 3, 5), (2, 3, 2))),
    (lambda F, x, w: F.conv2d(x, w, stride=2, groups=2), ((2, 4, 5, 4), (2, 2, 2, 3))),
    (lambda F, x, w: F.conv3d(x, w, padding="same"), ((1, 2, 3, 4, 3), (2, 2, 3, 1, 3))),
    (lambda F, x, w: F.conv_transpose2d(x, w, stride=2), ((1, 2, 3, 4), (2, 3, 2, 2))),
    (lambda F, x, w: F.conv_transpose3d(x, w, dilation=2), ((1, 2, 2, 2, 2), (2, 1, 2, 1, 2))),
    (lambda F, x: F.max_pool2d(x, 3, 2, 1, return_indices=True), ((2, 3, 5, 6),)),
    (lambda F, x: F.max_pool3d(x, 2, padding=1, ceil_mode=True), ((2, 3, 3, 4, 5),)),
    (lambda F, x: F.avg_pool1d(x, 3, 2, 1), ((2, 3, 7),)),
    (lambda F, x: F.avg_pool2d(x, 2, 1, 1, count_include_pad=False), ((2, 3, 4, 5),)),
    (lambda F, x: F.avg_pool3d(x, 2, divisor_override=-3), ((2, 3, 2, 4, 4),)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("function", "shapes"), OF_INTEGERS, ids=range(len(OF_INTEGERS)))
def test_integers(torch: Any, function: Any, shapes: Any) -> None:
    arrays = [integers(*shape) for shape in shapes]
    mine = function(F, *map(ag.tensor, arrays))
    assert_equal(mine, function(torch.nn.functional, *map(torch.tensor, arrays)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32"])
def test_maxima_of_the_least_integers(torch: Any, dtype: str) -> None:
    x = np.full((1, 1, 3, 3), np.iinfo(dtype).min, dtype)
    options = {"kernel_size": 2, "stride": 1, "padding": 1, "return_indices": True}
    assert_equal(F.max_pool2d(ag.tensor(x), **options), torch.nn.functional.max_pool2d(torch.tensor(x), **options))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_places_of_adaptive_maxima(torch: Any, dims: int, size: int) -> None:
    x = integers(2, 3, *(5, 4, 7)[:dims], low=0, high=4).astype("float32")  # With equal maxima.
    name = f"adaptive_max_pool{dims}d"
    mine = getattr(F, name)(ag.tensor(x), size, return_indices=True)
    assert_equal(mine, getattr(torch.nn.functional, name)(torch.tensor(x), size, return_indices=True))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_window_that_holds_a_nan(dims: int) -> None:
    x = ag.arange(4.0**dims).reshape(1, *(4,) * dims)
    x[(0,) * (dims + 1)] = ag.nan
    y, places = getattr(F, f"max_pool{dims}d")(x, 2, return_indices=True)
    assert ag.isnan(y.flatten()).tolist() == [True] + [False] * (2**dims - 1)
    assert places.flatten()[0].item() == 0
    assert ag.isnan(getattr(F, f"adaptive_max_pool{dims}d")(x, 3).flatten()).sum().item() == 1


@pytest.mark.parametrize("name", ["unfold", "fold"])
def test_windows_of_bools(torch: Any, name: str) -> None:
    x = integers(1, 2, 4, 5) > 0 if name == "unfold" else integers(1, 8, 6) > 3
    options: dict[str, Any] = {"kernel_size": 2, "stride": 2, "padding": 1} if name == "unfold" else {
        "kernel_size": 2, "stride": (2, 2), "output_size": (4, 6)
    }  # fmt: skip
    assert_equal(
        getattr(F, name)(ag.tensor(x), **options), getattr(torch.nn.functional, name)(torch.tensor(x), **options)
    )


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 6), (20, 31), (17, 26)])
def test_images_of_bytes_at_another_size(torch: Any, size: Any, mode: str, align: bool) -> None:
    x = integers(2, 3, 17, 13, dtype="uint8", low=0, high=256)
    theirs = torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode, align_corners=align)
    assert_equal(F.interpolate(ag.tensor(x), size, mode=mode, align_corners=align), theirs)


def test_normalisations_with_their_statistics(torch: Any) -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((3, 4, 5)), rng.standard_normal(4), rng.standard_normal(4)
    last = rng.standard_normal((4, 5))
    found = []
    for lib in (ag, torch):
        tx, tw, tb, tl = map(lib.tensor, (x, w, b, last))
        tx.requires_grad_()
        mean, var = lib.zeros(4, dtype=lib.float64), lib.ones(4, dtype=lib.float64)
        outputs = [
            *lib.native_batch_norm(tx, tw, tb, mean, var, True, 0.3, 1e-3),
            *lib.native_batch_norm(tx, tw, None, mean, var, False, 0.3, 1e-3),
            *lib.native_layer_norm(tx, (4, 5), tl, None, 1e-3),
            *lib.native_group_norm(tx, tw, tb, 3, 4, 5, 2, 1e-3),
            mean,
            var,
        ]
        sum((y * y * y).sum() for y in outputs if y.requires_grad).backward()
        found.append([*outputs, tx.grad])
    assert_equal(*found, tolerance=1e-10)


def test_the_older_names_of_interpolate() -> None:
    x = ag.arange(6.0).reshape(1, 1, 2, 3)
    with pytest.warns(UserWarning, match=r"upsample is deprecated; use nn\.functional\.interpolate"):
        assert ag.equal(F.upsample(x, scale_factor=2), F.interpolate(x, scale_factor=2))
    with pytest.warns(UserWarning, match="upsample_nearest"):
        assert ag.equal(F.upsample_nearest(x, (3, 4)), F.interpolate(x, (3, 4)))
    with pytest.warns(UserWarning, match="upsample_bilinear"):
        y = F.upsample_bilinear(x, (3, 4))
    assert ag.equal(y, F.interpolate(x, (3, 4), mode="bilinear", align_corners=True))


def test_a_border_of_a_constant() -> None:
    x = ag.tensor([[1, 2], [3, 4]])
    assert ag.constant_pad_nd(x, (1, -1, 0, 1), 7).tolist() == [[7, 1], [7, 3], [7, 7]]
    assert ag.constant_pad_nd(x > 1, (1, 0), True).tolist() == [[True, False, True], [True, True, True]]


def test_a_large_volume_is_convolved_part_by_part() -> None:
    """The planes of one part stay within a limit, so that memory does not grow with the batch."""
    backend = ag.devices.backend_of("cpu")
    seen: list[int] = []
    planes = type(backend)._planes

    def counted(self: Any, *args: Any) -> Any:
        made = planes(self, *args)
        seen.append(made.size)
        return made

    backend._planes = counted.__get__(backend)
    try:
        x = ag.ones(64, 2, 8, 16, 16, requires_grad=True, device="cpu")
        w = ag.ones(1, 2, 3, 3, 3, requires_grad=True, device="cpu")
        y = F.conv3d(x, w, padding=1)
        y.sum().backward()
    finally:
        del backend._planes
    assert y[:, 0, 4, 8, 8].tolist() == [54.0] * 64
    assert w.grad[0, 0, 1, 1, 1].item() == x.numel() / 2
    assert len(seen) > 2 and max(seen) <= backend.column_limit


def test_a_volume_whose_memory_is_in_another_order() -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 2, 3, 2)).transpose(0, 4, 1, 2, 3)
    y = F.interpolate(ag.tensor(x), (5, 4, 6))
    assert ag.equal(y, F.interpolate(ag.tensor(np.ascontiguousarray(x)), (5, 4, 6)))


def test_root_mean_squares_of_float16_do_not_overflow(torch: Any) -> None:
    x = np.array([[300.0, -400.0, 0.5]], "float16")
    assert_equal(F.rms_norm(ag.tensor(x), (3,)), torch.nn.functional.rms_norm(torch.tensor(x), (3,)), 1e-3)


def test_local_response_of_integers(torch: Any) -> None:
    x = integers(2, 4, 3)
    mine = F.local_response_norm(ag.tensor(x), 3, 0.5)
    assert_equal(mine, torch.nn.functional.local_response_norm(torch.tensor(x), 3, 0.5), 1e-6)


def test_batch_norm_in_training_needs_a_positive_eps() -> None:
    x = ag.tensor([[1.0], [3.0]])
    with pytest.raises(ValueError, match="eps must be positive during training, but got 0"):
        F.batch_norm(x, None, None, training=True, eps=0)
    assert F.batch_norm(x, ag.zeros(1), ag.ones(1), eps=0).tolist() == x.tolist()
    assert ag.native_batch_norm(x, None, None, None, None, True, 0.1, 0.0)[0].tolist() == [[-1.0], [1.0]]


def test_a_recorded_step_replays_on_other_volumes() -> None:
    w = ag.randn(2, 1, 2, 2, 2, requires_grad=True)

    def step(x: ag.Tensor) -> ag.Tensor:
        w.grad = None
        y = F.avg_pool3d(F.max_pool3d(F.conv3d(x, w, padding=1), 2, 1), 2, 1)
        y = F.adaptive_max_pool3d(y, (2, 3, 3)) + F.adaptive_avg_pool3d(y, (2, 3, 3))
        y = F.fold(F.unfold(y.flatten(0, 1), 2), (3, 3), 2)
        loss = F.lp_pool2d(y, 2, 2, 1).sum()
        loss.backward()
        return loss

    x, other = ag.randn(1, 1, 4, 5, 5), ag.randn(1, 1, 4, 5, 5)
    with Recorder(x._backend) as tape:
        loss = step(x)
    grad = w.grad
    replayed = tape.replay({x: other})
    expected = step(other)
    assert replayed[loss].item() == expected.item()
    assert replayed[grad].tolist() == w.grad.tolist()


def ones(*shape: int) -> ag.Tensor:
    return ag.ones(shape)


# what is called, the class of error, what its message holds
MISTAKES: list[tuple[Any, type[Exception], str]] = [
    (lambda: F.conv3d(ones(1, 2, 3, 3, 3), ones(0, 2, 1, 1, 1)), RuntimeError, r"conv3d: .*output channel.*\(0, 2, 1"),
    (lambda: F.conv2d(ones(1, 2, 3, 3), ones(2, 2, 0, 1)), RuntimeError, r"kernel of at least 1.*\(2, 2, 0, 1\)"),
    (lambda: F.conv1d(ones(2, 2, 0), ones(2, 2, 1), padding=1), RuntimeError, r"may be empty, got shape \(2, 2, 0\)"),
    (lambda: F.conv_transpose2d(ones(1, 2, 3, 3), ones(2, 0, 1, 1)), RuntimeError, r"\(2, 0, 1, 1\)"),
    (lambda: F.conv3d(ones(1, 2, 3, 3, 3), ones(2, 2, 1, 1, 1).double()), RuntimeError, "float32.*float64"),
    (lambda: F.conv3d(ones(1, 2, 3, 3, 3).int(), ones(2, 2, 1, 1, 1).int()), RuntimeError, "conv3d.*int32"),
    (lambda: F.conv3d(ones(1, 2, 3, 3), ones(2, 2, 1, 1, 1)), RuntimeError, r"weight of shape.*2 channels, got 1"),
    (lambda: F.conv3d(ones(2, 3, 3), ones(2, 2, 1, 1, 1)), RuntimeError, r"\(N, C, D, H, W\) or \(C, D, H, W\)"),
    (lambda: F.max_pool3d(ones(1, 3, 3, 3), 2, padding=(1, 1, 2)), RuntimeError, "at most half.*pad=2"),
    (lambda: F.max_pool2d(ones(2, 0, 3, 3), 2), RuntimeError, r"non-zero channels.*\(2, 0, 3, 3\)"),
    (lambda: F.max_pool1d(ones(2, 3).long(), 2), RuntimeError, "max_pool1d.*int64"),
    (lambda: F.avg_pool3d(ones(1, 1, 3, 3), 2, padding=1), RuntimeError, r"\(1, 3, 3\) is smaller than kernel_size=2"),
    (lambda: F.avg_pool3d(ones(1, 3, 3, 3), 2, divisor_override=0), RuntimeError, "divisor_override.*0"),
    (lambda: F.adaptive_avg_pool3d(ones(3, 3), (1, 1, 1)), ValueError, r"\(C, D, H, W\), got \(3, 3\)"),
    (lambda: F.adaptive_max_pool1d(ones(2, 0), 1), RuntimeError, r"non-zero size.*\(2, 0\)"),
    (lambda: F.max_unpool1d(ones(1, 2), ag.tensor([[0, 1]]).int(), 2), RuntimeError, "int64.*int32"),
    (lambda: F.max_unpool1d(ones(1, 2), ag.tensor([0, 1]), 2), RuntimeError, r"\(1, 2\), got \(2,\)"),
    (lambda: F.max_unpool1d(ones(1, 2), ag.tensor([[0, 1]]), 1, 1, 2), ValueError, "not be negative"),
    (lambda: F.unfold(ones(1, 1, 3, 3).int(), 2), RuntimeError, "unfold.*int32"),
    (lambda: F.fold(ones(1, 4, 4), (3, 3), 2, stride=0), RuntimeError, "stride must be at least 1"),
    (lambda: ag.native_group_norm(ones(2, 3), None, None, 2, 3, 2, 1, 0.1), RuntimeError, "12 elements"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
