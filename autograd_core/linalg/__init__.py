"""Linear algebra, under PyTorch's names: `ag.linalg.inv(x)`. Matrices stand in the last two dimensions, the leading
ones are a batch. A matrix that a function cannot take (singular, not positive-definite, not finite) is a `LinAlgError`,
a `RuntimeError` that says where in the batch it stands.
"""

from __future__ import annotations

from autograd_core.backends.matrices import LinAlgError as LinAlgError
from autograd_core.linalg.decompositions import cholesky as cholesky
from autograd_core.linalg.decompositions import cholesky_ex as cholesky_ex
from autograd_core.linalg.decompositions import eigh as eigh
from autograd_core.linalg.decompositions import eigvalsh as eigvalsh
from autograd_core.linalg.decompositions import lu as lu
from autograd_core.linalg.decompositions import lu_factor as lu_factor
from autograd_core.linalg.decompositions import lu_factor_ex as lu_factor_ex
from autograd_core.linalg.decompositions import lu_unpack as lu_unpack
from autograd_core.linalg.decompositions import qr as qr
from autograd_core.linalg.decompositions import qr_some, svd_with_v
from autograd_core.linalg.decompositions import svd as svd
from autograd_core.linalg.decompositions import svdvals as svdvals
from autograd_core.linalg.norms import cond as cond
from autograd_core.linalg.norms import lstsq as lstsq
from autograd_core.linalg.norms import matrix_norm as matrix_norm
from autograd_core.linalg.norms import matrix_rank as matrix_rank
from autograd_core.linalg.norms import norm as norm
from autograd_core.linalg.norms import pinv as pinv
from autograd_core.linalg.norms import pinverse as pinverse
from autograd_core.linalg.norms import vector_norm as vector_norm
from autograd_core.linalg.products import cross as cross
from autograd_core.linalg.products import diagonal as diagonal
from autograd_core.linalg.products import matrix_exp as matrix_exp
from autograd_core.linalg.products import matrix_power as matrix_power
from autograd_core.linalg.products import multi_dot as multi_dot
from autograd_core.linalg.products import vander as vander
from autograd_core.linalg.products import vecdot as vecdot
from autograd_core.linalg.systems import cholesky_inverse as cholesky_inverse
from autograd_core.linalg.systems import cholesky_solve as cholesky_solve
from autograd_core.linalg.systems import det as det
from autograd_core.linalg.systems import inv as inv
from autograd_core.linalg.systems import inv_ex as inv_ex
from autograd_core.linalg.systems import logdet as logdet
from autograd_core.linalg.systems import lu_solve as lu_solve
from autograd_core.linalg.systems import lu_solve_b
from autograd_core.linalg.systems import slogdet as slogdet
from autograd_core.linalg.systems import solve as solve
from autograd_core.linalg.systems import solve_ex as solve_ex
from autograd_core.linalg.systems import solve_triangular as solve_triangular
from autograd_core.linalg.systems import tensorinv as tensorinv
from autograd_core.linalg.systems import tensorsolve as tensorsolve
from autograd_core.linalg.systems import triangular_solve as triangular_solve
from autograd_core.ops.products import matmul as matmul
from autograd_core.tensor import Tensor


def cholesky_upper(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky` as a function of PyTorch's main module, where `upper` may be positional.

    >>> import autograd_core as ag
    >>> ag.cholesky(ag.tensor([[4.0]]))
    tensor([[2.]])
    """
    return cholesky(input, upper=upper)


# Those that PyTorch also has under its own name, and as methods; some under another form.
PUBLIC = {"inverse": inv, "cholesky": cholesky_upper, "svd": svd_with_v, "qr": qr_some, "lu_solve": lu_solve_b}
METHODS = (
    "inverse", "det", "slogdet", "logdet", "matrix_power", "cholesky", "cholesky_inverse", "cholesky_solve", "svd",
    "qr", "pinverse", "triangular_solve", "matrix_exp", "lu_solve",
)  # fmt: skip
FUNCTIONS = (*METHODS, "lu_unpack")
INPLACE: tuple[str, ...] = ()
