"""Linear algebra beyond the table's rows: errors that name the element of a batch, singular and degenerate matrices,
names of results, sizes at which the blocked paths run."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.autograd import gradcheck, gradgradcheck
from autograd_core.recorder import Recorder

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="comparisons with PyTorch need torch==2.13.0")

_rng = np.random.default_rng(7)


def normal(*shape: int, grad: bool = False) -> ag.Tensor:
    return ag.tensor(_rng.normal(size=shape)).requires_grad_(grad)


def batch_with_failure(t: Any) -> Any:
    """Four matrices, the third singular and not positive-definite from its second order on."""
    x = t.eye(3, dtype=t.float64).repeat(2, 2, 1, 1)
    x[1, 0, 1, 1] = 0.0
    return x


# -- errors -----------------------------------------------------------------------------------------------

FAILURES: tuple[tuple[str, Any], ...] = (
    ("inv", lambda t, x: t.linalg.inv(x)),
    ("inverse", lambda t, x: x.inverse()),
    ("inv_ex", lambda t, x: t.linalg.inv_ex(x, check_errors=True)),
    ("solve", lambda t, x: t.linalg.solve(x, t.ones(3, 1, dtype=t.float64))),
    ("solve_ex", lambda t, x: t.linalg.solve_ex(x, t.ones(3, 1, dtype=t.float64), check_errors=True)),
    ("cholesky", lambda t, x: t.linalg.cholesky(x)),
    ("cholesky_ex", lambda t, x: t.linalg.cholesky_ex(x, check_errors=True)),
    ("Tensor.cholesky", lambda t, x: x.cholesky(upper=True)),
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name, call", FAILURES, ids=[f[0] for f in FAILURES])
def test_the_error_names_the_element_of_the_batch(name: str, call: Any) -> None:
    with pytest.raises(ag.linalg.LinAlgError, match=r"linalg\.\w+: \(batch element 2\).*\(at order 2\)") as ours:
        call(ag, batch_with_failure(ag))
    assert ours.value.elements == {2: 2}
    assert issubclass(ag.linalg.LinAlgError, RuntimeError)
    if torch is not None:
        with pytest.raises(torch.linalg.LinAlgError, match="Batch element 2"):
            call(torch, batch_with_failure(torch))


def test_the_factor_of_a_singular_matrix_is_an_error_only_if_asked_for() -> None:
    x = batch_with_failure(ag)
    with pytest.raises(ag.linalg.LinAlgError, match=r"lu_factor: \(batch element 2\)"):
        ag.linalg.lu_factor(x)
    assert ag.linalg.lu_factor_ex(x).info.tolist() == [[0, 0], [2, 0]]
    P, L, U = ag.linalg.lu(x)
    np.testing.assert_array_equal((P @ L @ U).numpy(force=True), x.numpy(force=True))


def test_gradients_at_singular_matrices_are_errors_too() -> None:
    x = ag.zeros(2, 2, requires_grad=True)
    with pytest.raises(ag.linalg.LinAlgError, match=r"linalg\.inv"):
        ag.linalg.slogdet(x).logabsdet.backward()
    with pytest.raises(ag.linalg.LinAlgError, match="diagonal"):
        ag.linalg.qr(ag.tensor([[1.0, 1.0], [0.0, 0.0]], requires_grad=True)).R.sum().backward()


def test_matrices_that_are_not_finite() -> None:
    x = ag.full((2, 2, 2), math.nan)
    for function in (ag.linalg.svd, ag.linalg.svdvals):
        with pytest.raises(ag.linalg.LinAlgError, match="finite"):
            function(x)
    assert ag.linalg.inv(x).isnan().all()
    assert ag.linalg.matrix_exp(x).isnan().all()


ERRORS: tuple[tuple[str, Any], ...] = (
    ("inv of no square", lambda t: t.linalg.inv(t.ones(2, 3))),
    ("inv of a vector", lambda t: t.linalg.inv(t.ones(2))),
    ("inv of integers", lambda t: t.linalg.inv(t.ones(2, 2, dtype=t.int64))),
    ("inv_ex of no square", lambda t: t.linalg.inv_ex(t.ones(2, 3))),
    ("solve of dtypes", lambda t: t.linalg.solve(t.eye(2), t.ones(2, 1, dtype=t.float64))),
    ("solve of shapes", lambda t: t.linalg.solve(t.eye(2), t.ones(3, 1))),
    ("solve of batches", lambda t: t.linalg.solve(t.eye(2).repeat(2, 1, 1), t.ones(3, 2, 1))),
    ("solve of a vector from the right", lambda t: t.linalg.solve(t.eye(2), t.ones(2), left=False)),
    ("solve of a number", lambda t: t.linalg.solve(t.eye(2), t.ones(()))),
    ("solve_triangular of a vector", lambda t: t.linalg.solve_triangular(t.eye(2), t.ones(2), upper=True)),
    ("solve_triangular of shapes", lambda t: t.linalg.solve_triangular(t.eye(2), t.ones(2, 3), upper=True, left=False)),
    ("triangular_solve of no square", lambda t: t.triangular_solve(t.ones(2, 1), t.ones(2, 3))),
    ("cholesky of no square", lambda t: t.linalg.cholesky(t.ones(2, 3))),
    ("cholesky_solve of shapes", lambda t: t.cholesky_solve(t.ones(3, 1), t.eye(2))),
    ("cholesky_inverse of no square", lambda t: t.cholesky_inverse(t.ones(2, 3))),
    ("svd of a vector", lambda t: t.linalg.svd(t.ones(2))),
    ("svd driver", lambda t: t.linalg.svd(t.ones(2, 2), driver="gesvd")),
    ("eigh triangle", lambda t: t.linalg.eigh(t.eye(2), "X")),
    ("eigh of no square", lambda t: t.linalg.eigh(t.ones(2, 3))),
    ("qr mode", lambda t: t.linalg.qr(t.eye(2), "full")),
    ("qr of a vector", lambda t: t.linalg.qr(t.ones(2))),
    ("lu of a vector", lambda t: t.linalg.lu(t.ones(2))),
    ("lu_solve pivots", lambda t: t.linalg.lu_solve(t.eye(2), t.ones(2), t.ones(2, 1))),
    ("lu_unpack pivots", lambda t: t.lu_unpack(t.eye(2), t.ones(2))),
    ("tensorinv ind", lambda t: t.linalg.tensorinv(t.ones(2, 2), 0)),
    ("tensorinv shape", lambda t: t.linalg.tensorinv(t.ones(2, 3), 1)),
    ("tensorsolve shape", lambda t: t.linalg.tensorsolve(t.ones(2, 2, 2), t.ones(2))),
    ("matrix_norm dims", lambda t: t.linalg.matrix_norm(t.ones(2, 3), dim=(0, 0))),
    ("matrix_norm dim", lambda t: t.linalg.matrix_norm(t.ones(2, 3), dim=(0,))),
    ("matrix_norm order", lambda t: t.linalg.matrix_norm(t.ones(2, 3), 3)),
    ("matrix_norm of a vector", lambda t: t.linalg.matrix_norm(t.ones(2))),
    ("matrix_norm of integers", lambda t: t.linalg.matrix_norm(t.ones(2, 2, dtype=t.int64))),
    ("matrix_norm into a narrower dtype", lambda t: t.linalg.matrix_norm(t.ones(2, 2), "nuc", dtype=t.float16)),
    ("least singular value of nothing", lambda t: t.linalg.matrix_norm(t.ones(2, 0), -2)),
    ("norm of 3-d", lambda t: t.linalg.norm(t.ones(2, 2, 2), 2)),
    ("norm dims", lambda t: t.linalg.norm(t.ones(2, 2, 2), None, (0, 1, 2))),
    ("norm of a vector", lambda t: t.linalg.norm(t.ones(2), "nuc")),
    ("cond order", lambda t: t.linalg.cond(t.eye(2), 3)),
    ("cond of no square", lambda t: t.linalg.cond(t.ones(2, 3), 1)),
    ("matrix_rank of a vector", lambda t: t.linalg.matrix_rank(t.ones(2))),
    ("pinv hermitian of no square", lambda t: t.linalg.pinv(t.ones(2, 3), hermitian=True)),
    ("pinv both tolerances", lambda t: t.linalg.pinv(t.eye(2), rcond=0.1, rtol=0.1)),
    ("lstsq driver", lambda t: t.linalg.lstsq(t.eye(2), t.eye(2), driver="qr")),
    ("lstsq rows", lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(2, 1))),
    ("lstsq of a singular matrix", lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(3, 1), driver="gels")),
    ("matrix_exp of no square", lambda t: t.matrix_exp(t.ones(2, 3))),
    ("vander N", lambda t: t.linalg.vander(t.ones(2), N=1)),
    ("vander of bools", lambda t: t.linalg.vander(t.ones(2, dtype=t.bool))),
    ("multi_dot of one", lambda t: t.linalg.multi_dot([t.ones(2, 2)])),
    ("multi_dot of 3-d", lambda t: t.linalg.multi_dot([t.ones(2, 2), t.ones(2, 2, 2)])),
    ("matrix_power of no square", lambda t: t.linalg.matrix_power(t.ones(2, 3), 2)),
)  # fmt: skip


@pytest.mark.parametrize("name, call", ERRORS, ids=[e[0] for e in ERRORS])
def test_errors(name: str, call: Any) -> None:
    with pytest.raises((RuntimeError, IndexError, TypeError)) as ours:
        call(ag)
    if torch is not None:
        with pytest.raises(Exception) as theirs:
            call(torch)
        private = theirs.type is torch.linalg.LinAlgError
        assert issubclass(ours.type, ag.linalg.LinAlgError if private else theirs.type), f"{name}: {theirs.value}"


def test_overflow_passes_without_a_warning() -> None:
    """Also where NumPy would warn in a module of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="numpy")
        x = (ag.eye(40) * 1e30).requires_grad_()
        out = ag.det(x)
        assert out.item() == math.inf
        out.backward()
        assert not x.grad.isfinite().all()
        assert ag.linalg.inv(ag.eye(2) * 1e-40).isinf().any()
        assert ag.slogdet(ag.zeros(2, 2)).logabsdet.item() == -math.inf


# -- functions that do not raise ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("inv_ex", "cholesky_ex", "solve_ex"))
def test_ex_marks_what_failed_and_gives_the_rest(name: str) -> None:
    x = batch_with_failure(ag)
    x[0, 1] = 4 * x[0, 1]
    x.requires_grad_()
    rest = (ag.ones(2, 3, dtype=ag.float64),) if name == "solve_ex" else ()
    rest = tuple(r.mT for r in rest)
    out, info = getattr(ag.linalg, name)(x, *rest)
    assert info.dtype is ag.int32 and info.tolist() == [[0, 0], [2, 0]]
    assert out[1, 0].isnan().all() and not out[0].isnan().any() and not out[1, 1].isnan().any()
    expected = {"inv_ex": 0.25, "cholesky_ex": 2.0, "solve_ex": 0.25}[name]
    assert out[0, 1, 0, 0].item() == expected
    out[0].sum().backward()
    assert not x.grad.isnan().any() and not x.grad[1].any() and x.grad[0].any()


# -- singular and degenerate --------------------------------------------------------------------------------


def test_singular_matrices_have_determinant_zero_and_sign_zero() -> None:
    singular = ag.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=ag.float64)
    assert ag.det(singular).item() == 0.0
    sign, size = ag.slogdet(singular)
    assert sign.item() == 0.0 and size.item() == -float("inf")


@pytest.mark.parametrize("rank", (0, 1, 2, 3))
def test_the_determinant_has_exact_gradients_at_any_rank(rank: int) -> None:
    """First and second order, against differences of the determinant, a polynomial that needs no inverse."""
    x = normal(3, rank) @ normal(rank, 3)
    for sign in (1.0, -1.0):
        assert gradcheck(ag.linalg.det, [(sign * x).requires_grad_()])
        assert gradgradcheck(ag.linalg.det, [(sign * x).requires_grad_()])


def test_derivatives_of_third_order_of_the_determinant() -> None:
    def first(x: ag.Tensor) -> ag.Tensor:
        (g,) = ag.autograd.grad(ag.det(x).sum(), x, create_graph=True)
        return g.square()

    assert gradgradcheck(first, [normal(2, 3, 3, grad=True)])
    x = ag.zeros(3, 3, requires_grad=True)
    (second,) = ag.autograd.grad(first(x).sum(), x, create_graph=True)
    with pytest.raises(ag.linalg.LinAlgError, match="singular"):
        second.sum().backward()


def test_values_that_repeat_have_gradients_of_their_own() -> None:
    """Singular values and eigenvalues of the identity: the gradient of their sum is the identity, without a NaN."""
    for function in (
        ag.linalg.svdvals, ag.linalg.eigvalsh, lambda t: ag.linalg.svd(t).S, lambda t: ag.linalg.eigh(t).eigenvalues
    ):  # fmt: skip
        x = ag.eye(3, dtype=ag.float64).requires_grad_()
        function(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(force=True), np.eye(3), atol=1e-12)


def test_the_pseudo_inverse_of_a_singular_matrix_has_the_gradient_along_its_rank() -> None:
    a, b = normal(4, 2, grad=True), normal(2, 3, grad=True)
    assert gradcheck(lambda a, b: ag.linalg.pinv(a @ b, rtol=1e-6), [a, b])
    assert gradgradcheck(lambda a, b: ag.linalg.pinv(a @ b, rtol=1e-6), [a, b])


@pytest.mark.parametrize("p", (1, -1, math.inf, -math.inf, "fro"))
def test_gradients_of_the_condition_number(p: Any) -> None:
    """PyTorch's own is an error in these norms."""
    assert gradcheck(lambda x: ag.linalg.cond(x, p), [normal(3, 3, grad=True)])


@pytest.mark.parametrize("p", (0.5, 1.5, 2, 3, -1, -2))
def test_norms_have_gradient_zero_where_they_have_none(p: float) -> None:
    for start in ([0.0, 0.0], [0.0, 2.0]):
        x = ag.tensor(start, requires_grad=True)
        out = ag.linalg.vector_norm(x, p)
        (g,) = ag.autograd.grad(out, x, create_graph=True)
        assert g.tolist() == pytest.approx([0.0, 1.0 if p > 0 and start[1] else 0.0])
        g.sum().backward()
        assert not x.grad.isnan().any()


def test_signs_do_not_change_gradients() -> None:
    """The projection onto an eigenvector: the gradient is what the projection's own differences say."""
    x = normal(3, 3, grad=True)

    def projection(x: ag.Tensor) -> ag.Tensor:
        _, v = ag.linalg.eigh(x + x.mT)
        return v[:, 0].outer(v[:, 0])

    assert gradcheck(projection, [x]) and gradgradcheck(projection, [x])


def test_qr_without_reduction_has_no_gradient_for_more_rows_than_columns() -> None:
    Q, R = ag.linalg.qr(normal(3, 2, grad=True), "complete")
    with pytest.raises(RuntimeError, match="complete"):
        R.sum().backward()


def test_what_a_decomposition_saved_may_not_change_before_backward() -> None:
    U, S, Vh = ag.linalg.svd(normal(3, 3, grad=True))
    with ag.no_grad():
        U.detach().mul_(2.0)
    with pytest.raises(RuntimeError, match="svd saved .* inplace"):
        S.sum().backward()


def test_triangles_that_are_not_read_have_no_gradient() -> None:
    x = (normal(3, 3) + 4 * ag.eye(3, dtype=ag.float64)).requires_grad_()
    for function in (
        lambda t: ag.linalg.solve_triangular(t, ag.ones(3, 1, dtype=ag.float64), upper=False),
        lambda t: ag.cholesky_solve(ag.ones(3, 1, dtype=ag.float64), t),
        ag.cholesky_inverse,
    ):
        (g,) = ag.autograd.grad(function(x).sum(), x)
        np.testing.assert_array_equal(g.triu(1).numpy(force=True), np.zeros((3, 3)))
        assert g.tril().all() or (g != 0).sum().item() == 6
        assert gradcheck(function, [x])


# -- sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ((70, 70), (3, 40, 33), (33, 70), (65, 64)))
def test_elimination_in_panels(shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    P, L, U = ag.linalg.lu(x)
    np.testing.assert_allclose((P @ L @ U).numpy(force=True), x.numpy(force=True), atol=1e-11)
    assert (L.abs() <= 1).all(), "the pivot was not the greatest of its column"
    if torch is not None:
        mine, theirs = ag.linalg.lu_factor(x), torch.linalg.lu_factor(torch.tensor(x.numpy(force=True)))
        np.testing.assert_array_equal(mine.pivots.numpy(force=True), theirs.pivots.numpy())
        np.testing.assert_allclose(mine.LU.numpy(force=True), theirs.LU.numpy(), atol=1e-10)


def test_elimination_without_pivoting() -> None:
    x = normal(4, 4) + 8 * ag.eye(4, dtype=ag.float64)
    P, L, U = ag.linalg.lu(x, pivot=False)
    assert P.shape == (0,)
    np.testing.assert_allclose((L @ U).numpy(force=True), x.numpy(force=True), atol=1e-12)


def test_the_exponential_of_rotations() -> None:
    """exp of ((0, -a), (a, 0)) turns by the angle a, however large."""
    for angle in (0.0, 1e-9, 0.5, 3.0, 400.0):
        x = ag.tensor([[0.0, -angle], [angle, 0.0]], dtype=ag.float64)
        expected = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        np.testing.assert_allclose(ag.matrix_exp(x).numpy(force=True), expected, atol=1e-11)


# -- names --------------------------------------------------------------------------------------------------

RESULTS: tuple[tuple[str, Any], ...] = (
    ("linalg.svd", lambda t: t.linalg.svd(t.eye(2))),
    ("svd", lambda t: t.eye(2).svd()),
    ("linalg.eigh", lambda t: t.linalg.eigh(t.eye(2))),
    ("linalg.qr", lambda t: t.linalg.qr(t.eye(2))),
    ("qr", lambda t: t.eye(2).qr()),
    ("linalg.slogdet", lambda t: t.linalg.slogdet(t.eye(2))),
    ("slogdet", lambda t: t.eye(2).slogdet()),
    ("linalg.lu", lambda t: t.linalg.lu(t.eye(2))),
    ("linalg.lu_factor", lambda t: t.linalg.lu_factor(t.eye(2))),
    ("linalg.lu_factor_ex", lambda t: t.linalg.lu_factor_ex(t.eye(2))),
    ("linalg.inv_ex", lambda t: t.linalg.inv_ex(t.eye(2))),
    ("linalg.cholesky_ex", lambda t: t.linalg.cholesky_ex(t.eye(2))),
    ("linalg.solve_ex", lambda t: t.linalg.solve_ex(t.eye(2), t.eye(2))),
    ("linalg.lstsq", lambda t: t.linalg.lstsq(t.eye(2), t.eye(2))),
    ("linalg.lstsq gels", lambda t: t.linalg.lstsq(t.ones(3, 1), t.ones(3, 1), driver="gels")),
    ("triangular_solve", lambda t: t.eye(2).triangular_solve(t.eye(2))),
    ("lu_unpack", lambda t: t.lu_unpack(t.eye(2), t.tensor([1, 2], dtype=t.int32))),
)


@needs_torch
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name, call", RESULTS, ids=[r[0] for r in RESULTS])
def test_results_have_the_names_of_torch(name: str, call: Any) -> None:
    mine, theirs = call(ag), call(torch)
    fields = [n for n in type(theirs).__match_args__] if hasattr(type(theirs), "__match_args__") else []
    assert list(mine._fields) == fields
    for field in fields:
        a, b = getattr(mine, field), getattr(theirs, field)
        assert tuple(a.shape) == tuple(b.shape) and str(a.dtype)[3:] == str(b.dtype)[6:], f"{name}.{field}"


# -- recording ----------------------------------------------------------------------------------------------

STEPS: dict[str, Any] = {
    "cholesky": lambda x: ag.linalg.cholesky(x @ x.mT).sum(),
    "svd": lambda x: (lambda u, s, vh: s.sum() + ((u * s**2) @ vh).sum())(*ag.linalg.svd(x, False)),
    "eigh": lambda x: ag.linalg.eigh(x + x.mT)[1][:, 0].square().sum() + ag.linalg.eigvalsh(x + x.mT).square().sum(),
    "qr": lambda x: ag.linalg.qr(x).R.abs().sum(),
    "lu": lambda x: ag.linalg.lu(x).U.sum(),
    "det": ag.linalg.det,
    "slogdet": lambda x: ag.linalg.slogdet(x).logabsdet,
    "inv": lambda x: ag.linalg.inv(x).sum(),
    "solve": lambda x: ag.linalg.solve(x, ag.ones(3, 1)).sum(),
    "solve_triangular": lambda x: ag.linalg.solve_triangular(x, ag.ones(3, 1), upper=True).sum(),
    "pinv": lambda x: ag.linalg.pinv(x).sum(),
    "lstsq": lambda x: ag.linalg.lstsq(x, ag.ones(3, 1)).solution.sum(),
    "matrix_exp": lambda x: ag.matrix_exp(x).sum(),
    "norm": lambda x: ag.linalg.norm(x, "nuc") + ag.linalg.cond(x),
    "matrix_rank": lambda x: x.sum() * ag.linalg.matrix_rank(x),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_can_be_recorded_and_replayed(name: str) -> None:
    """Nothing is read on the host, and nothing computed beside the backend's kernels."""
    first, second = (ag.tensor(_rng.normal(size=(3, 3)).astype(np.float32)) for _ in range(2))
    x = first.requires_grad_()
    with Recorder(x._backend) as tape:
        loss = STEPS[name](x)
        (g,) = ag.autograd.grad(loss, x)
    replayed = tape.replay({x: second})
    y = second.clone().requires_grad_()
    expected = STEPS[name](y)
    (expected_g,) = ag.autograd.grad(expected, y)
    assert replayed[loss].tolist() == expected.tolist()
    assert replayed[g].tolist() == expected_g.tolist()
