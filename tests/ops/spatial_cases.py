"""Rows of the table of neural operations (`test_neural.py`): volumes, adaptive maxima, power averages, windows."""

import numpy as np
from neural_cases import Case, distinct, normal, positive, probability

X, W = normal(2, 2, 2, 3, 2), normal(2, 2, 2, 2, 1)


def places(*shape, of):
    """Distinct places of planes of `of` elements."""
    count = int(np.prod(shape[2:]))

    def draw(rng):
        return np.stack([rng.permutation(of)[:count] for _ in range(shape[0] * shape[1])]).reshape(shape)

    return draw


CASES = [
    Case("conv3d", lambda F, x, w, b: F.conv3d(x, w, b), (X, W, normal(2))),
    Case("conv3d, stride", lambda F, x, w: F.conv3d(x, w, stride=(2, 1, 2), padding=(1, 0, 1)), (X, W)),
    Case("conv3d, dilation", lambda F, x, w: F.conv3d(x, w, dilation=(2, 1, 2), padding=1), (X, W)),
    Case("conv3d, groups", lambda F, x, w, b: F.conv3d(x, w, b, 1, 1, 1, 2), (X, normal(4, 1, 2, 1, 2), normal(4))),
    Case(
        "conv3d, same", lambda F, x, w: F.conv3d(x, w, padding="same"), (normal(1, 2, 3, 2, 2), normal(1, 2, 2, 3, 2))
    ),
    Case("conv3d, unbatched", lambda F, x, w: F.conv3d(x, w), (normal(2, 2, 3, 2), W), batch=False),
    Case(
        "conv_transpose3d",
        lambda F, x, w, b: F.conv_transpose3d(x, w, b, (2, 1, 2), (1, 0, 0), (1, 0, 1), 2),
        (normal(2, 2, 2, 1, 2), normal(2, 2, 2, 2, 1), normal(4)),
    ),
    Case(
        "conv_transpose3d, dilation",
        lambda F, x, w: F.conv_transpose3d(x, w, dilation=(2, 1, 1)),
        (normal(2, 2, 2, 2, 2), normal(2, 1, 2, 2, 1)),
    ),
    Case(
        "conv_transpose2d, more output padding than stride",
        lambda F, x, w, b: F.conv_transpose2d(x, w, b, (2, 1), (1, 0), (3, 2), 1, (4, 3)),
        (normal(2, 2, 3, 2), normal(2, 3, 2, 2), normal(3)),
    ),
    Case("max_pool3d", lambda F, x: F.max_pool3d(x, 2), (distinct(2, 2, 2, 4, 4),)),
    Case(
        "max_pool3d, all",
        lambda F, x: F.max_pool3d(x, (2, 3, 2), (1, 2, 2), (1, 1, 0), (1, 1, 2), ceil_mode=True),
        (distinct(2, 2, 3, 5, 4),),
    ),
    Case("avg_pool3d", lambda F, x: F.avg_pool3d(x, 2), (normal(2, 2, 2, 4, 4),)),
    Case(
        "avg_pool3d, pad not counted",
        lambda F, x: F.avg_pool3d(x, (2, 3, 2), 2, 1, ceil_mode=True, count_include_pad=False),
        (normal(2, 2, 3, 5, 4),),
    ),
    Case(
        "avg_pool3d, divisor",
        lambda F, x: F.avg_pool3d(x, 2, 1, divisor_override=5),
        (normal(2, 3, 3, 2),),
        batch=False,
    ),
    Case("adaptive_avg_pool3d", lambda F, x: F.adaptive_avg_pool3d(x, (2, 3, None)), (normal(2, 2, 3, 4, 2),)),
    Case("adaptive_avg_pool3d, even bins", lambda F, x: F.adaptive_avg_pool3d(x, (1, 2, 1)), (normal(2, 2, 3, 4, 2),)),
    Case("adaptive_max_pool1d", lambda F, x: F.adaptive_max_pool1d(x, 3), (distinct(2, 2, 7),)),
    Case("adaptive_max_pool2d", lambda F, x: F.adaptive_max_pool2d(x, (3, None)), (distinct(2, 2, 5, 4),)),
    Case("adaptive_max_pool2d, even bins", lambda F, x: F.adaptive_max_pool2d(x, 2), (distinct(2, 2, 4, 6),)),
    Case("adaptive_max_pool3d", lambda F, x: F.adaptive_max_pool3d(x, (2, 3, 1)), (distinct(2, 2, 3, 4, 2),)),
    Case("lp_pool1d", lambda F, x: F.lp_pool1d(x, 2, 3, 2), (positive(2, 2, 7),)),
    Case("lp_pool2d", lambda F, x: F.lp_pool2d(x, 2.5, (2, 3), ceil_mode=True), (positive(2, 2, 5, 4),)),
    Case("lp_pool2d, negative numbers", lambda F, x: F.lp_pool2d(x, 2, 2), (normal(2, 2, 4, 4),)),
    Case("lp_pool3d", lambda F, x: F.lp_pool3d(x, 3, 2, 1), (positive(2, 2, 2, 3, 3),)),
    Case(
        "max_unpool1d",
        lambda F, x, i: F.max_unpool1d(x, i, 2, output_size=(7,)),
        (normal(2, 2, 3), places(2, 2, 3, of=6)),
        batch=False,
    ),
    Case(
        "max_unpool2d",
        lambda F, x, i: F.max_unpool2d(x, i, (3, 2), 2, (1, 0)),
        (normal(2, 2, 3, 2), places(2, 2, 3, 2, of=20)),
        batch=False,
    ),
    Case(
        "max_unpool3d",
        lambda F, x, i: F.max_unpool3d(x, i, 2),
        (normal(1, 2, 1, 2, 2), places(1, 2, 1, 2, 2, of=32)),
        batch=False,
    ),
    Case(
        "fractional_max_pool2d",
        lambda F, x, u: F.fractional_max_pool2d(x, (2, 3), (3, 2), _random_samples=u),
        (distinct(2, 2, 5, 7), probability(2, 2, 2)),
        constant=(1,),
        batch=False,
    ),
    Case(
        "fractional_max_pool3d",
        lambda F, x, u: F.fractional_max_pool3d(x, 2, output_ratio=(0.5, 0.4, 0.7), _random_samples=u),
        (distinct(2, 4, 5, 4), probability(1, 2, 3)),
        constant=(1,),
        batch=False,
    ),
    Case("unfold", lambda F, x: F.unfold(x, (2, 3), (2, 1), (1, 2), (1, 2)), (normal(2, 3, 4, 5),)),
    Case("fold", lambda F, x: F.fold(x, (4, 5), (2, 3), (2, 1), (1, 2), (1, 2)), (normal(2, 12, 16),)),
    Case("channel_shuffle", lambda F, x: F.channel_shuffle(x, 3), (normal(2, 6, 3),)),
    Case(
        "interpolate, area of a volume", lambda F, x: F.interpolate(x, (2, 1, 3), mode="area"), (normal(2, 2, 3, 2, 2),)
    ),
]
