"""Deliberate differences: each is stated in docs/differences-from-pytorch.md, and excuses single samples, never a name."""

from __future__ import annotations

import re
from typing import NamedTuple


class Excuse(NamedTuple):
    """Regular expressions over what an attempt is: the name's path, `check dtype`, the sample's text, the message."""

    path: str
    check: str
    sample: str
    message: str
    reason: str


EXCUSES: tuple[Excuse, ...] = (
    Excuse(
        r"nn\.functional\.(\w+_loss|kl_div)|nn\.\w+Loss|\w+Loss",
        r".*",
        r".*",
        r".*(broadcast|same shape|shapes|must be the same as input size).*",
        "A loss of shapes that do not match is an error",
    ),
    Excuse(
        r"nn\.functional\.embedding(_bag)?|nn\.Embedding(Bag)?",
        r".*",
        r".*sparse=True.*",
        r".*sparse=True is not supported.*",
        "There are no sparse tensors",
    ),
    Excuse(
        r"addbmm",
        r"in-place float16",
        r".*",
        r"in place: .* values differ.*",
        "Half precision is rounded once",
    ),
    Excuse(
        r"addbmm",
        r"in-place .*",
        r".*",
        r".*addbmm_: output with shape .*",
        "In-place changes keep the shape",
    ),
    Excuse(
        r"polygamma",
        r"values (u?int\d+|float(16|32))",
        r".*",
        r"result: .* values differ; at .* (inf|nan|-inf|-nan), expected .*",
        "At the poles of polygamma there is no large number",
    ),
    Excuse(
        r"(linalg\.)?(vector_)?norm",
        r"second gradient .*",
        r".*",
        r".*expected nan.*",
        "Norms have second derivatives where PyTorch's are NaN",
    ),
    Excuse(
        r"cholesky_(solve|inverse)",
        r"(second )?gradient .*",
        r".*",
        r"(second )?gradient of tensor .*",
        "The triangle that is not read has gradient 0",
    ),
    Excuse(
        r"matrix_exp|linalg\.matrix_exp",
        r"values float(16|32)",
        r".*",
        r".*values differ.*",
        "The matrix exponential is computed in double precision",
    ),
)


def excuse(path: str, check: str, dtype: str, sample: str, message: str) -> str | None:
    for one in EXCUSES:
        if (
            re.fullmatch(one.path, path)
            and re.fullmatch(one.check, f"{check} {dtype}")
            and re.fullmatch(one.sample, sample, re.DOTALL)
            and re.fullmatch(one.message, message, re.DOTALL)
        ):
            return one.reason
    return None
