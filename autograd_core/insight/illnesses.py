"""The illnesses of a training: for each a rule that reads it off the samples, with the evidence and the usual cure.

The thresholds, with what they lean on; docs/insight.md says more about each.

- Nielsen, "Neural Networks and Deep Learning", 2015, ch. 5: speeds of learning by layer.
- Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
- He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015.
- Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
- LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998: inputs of mean 0 and equal variance.
- Karpathy, Stanford CS231n notes, "Neural Networks Part 3", 2015: updates are about 1e-3 of the weights.
- Lu, Shin, Su, Karniadakis, "Dying ReLU and initialization", 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, sqrt
from statistics import median

from autograd_core.insight.samples import LayerSample, Sample, weighted

# The first layer's gradient so many times smaller than the last one's. Nielsen's network of two hidden layers, which
# trains, has 4; his of four, which hardly does, has 95.
VANISHING_RATIO = 50.0
# And so many times greater: his exploding recipe passes 1e3 in three layers.
EXPLODING_RATIO = 300.0
# A gradient so many times the weights: any usual step length would replace the layer.
EXPLODING_GRADIENT = 100.0
# The standard deviation over the batch from the first hidden layer to the last falls or grows by so much. With the
# initialisation of Glorot or He it stays near 1 by construction.
FADING_SIGNAL = 300.0
GROWING_SIGNAL = 300.0
# Share of values where a sigmoid or tanh keeps under 5 % of its greatest slope.
SATURATED_SHARE = 0.5
# Share of rectified units that are 0 on the last three measured batches. CS231n speaks of 40 % for a learning rate set
# too high, but wide layers that train well have as many: units for one class, and spare ones.
DEAD_SHARE = 0.75
# |update| / |weights| of the layer that moves most. The rule of thumb is 1e-3.
UPDATE_TOO_LARGE = 0.2
EARLY_UPDATE_TOO_LARGE = 2.0
FIRST_STEPS = 10
UPDATE_TOO_SMALL = 1e-5
# The greatest root mean square of an input feature; normalised inputs have 1.
INPUT_TOO_LARGE = 10.0
INPUT_TOO_SMALL = 0.01
# The loss of the last third of the samples over that of the first third.
LOSS_RISE = 1.5


Found = tuple[list[str], str, str] | None


def _sound(samples: Sequence[Sample]) -> list[Sample]:
    """The samples before the first value that is not finite."""
    sound: list[Sample] = []
    for sample in samples:
        if sample.input_nonfinite or any(r.nonfinite or r.grad_nonfinite or r.weight_nonfinite for r in sample.layers):
            break
        sound.append(sample)
    return sound


def _from_zero(samples: Sequence[Sample]) -> dict[str, float]:
    """The layers whose weights began as zeros, with a tenth of what their norm has become.

    That is good practice for an output layer or a residual branch; until it has grown, what is behind learns slowly.
    """
    zeros = [r for s in samples[:1] for r in weighted(s.layers) if r.weight_norm == 0]
    return {r.layer: (_history(samples, r.layer)[-1].weight_norm or 0.0) / 10 for r in zeros}


def _grown(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in which no layer is still near the zeros that it began with."""
    zero = _from_zero(samples)
    return [s for s in samples if not any((r.weight_norm or 0.0) < zero.get(r.layer, 0.0) for r in s.layers)]


def _names(rows: Sequence[LayerSample]) -> str:
    """'layer 2 (Linear)', or 'layers 2 (Linear), 4 (Linear) and 3 more'."""
    texts = [f"{row.layer} ({row.kind})" for row in rows[:3]]
    texts += [f"{len(rows) - 3} more"] if len(rows) > 3 else []
    return ("layer " if len(rows) == 1 else "layers ") + " and ".join(
        [", ".join(texts[:-1])] * (len(texts) > 1) + texts[-1:]
    )


def count(n: float, noun: str) -> str:
    return f"{n:.0f} {noun}" + "s" * (n != 1)


def _agree(rows: Sequence[LayerSample], one: str, several: str) -> str:
    """The form of a word that fits the number of `rows`."""
    return one if len(rows) == 1 else several


def _middle(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None and isfinite(v)]
    return median(known) if known else None


def _history(samples: Sequence[Sample], layer: str) -> list[LayerSample]:
    return [row for sample in samples for row in sample.layers if row.layer == layer]


# -- rules: each returns (layers, evidence, cure), or None ----------------------------------------------------


def _nan_data(samples: Sequence[Sample]) -> Found:
    for s in samples:
        if s.input_nonfinite:
            return (
                [],
                f"in the input of step {s.step}, {count(s.input_nonfinite, 'value')} "
                f"{'is' if s.input_nonfinite == 1 else 'are'} NaN or infinite",
                "find them with isfinite() in the data set, and drop or fill those samples",
            )
    return None


_FINITE = (
    "a smaller learning rate, gradient clipping (nn.utils.clip_grad_norm_), an eps under every log, root and division; "
    "autograd.detect_anomaly() names the line"
)


def _nonfinite(samples: Sequence[Sample]) -> Found:
    if all(s.overflowed for s in samples):
        return (
            [r.layer for r in samples[-1].layers if r.grad_nonfinite],
            "the GradScaler skipped every watched step, since there are gradients that are not finite at a scale of "
            f"{samples[-1].scale:.3g}",
            "more steps, in which it finds a smaller scale, or a smaller init_scale; if it goes on at a scale of 1, "
            "the gradients themselves are not finite, and autograd.detect_anomaly() names the line",
        )
    for s in samples:
        bad = [r for r in s.layers if r.nonfinite or r.grad_nonfinite or r.weight_nonfinite]
        if not bad and s.loss is not None and not isfinite(s.loss):
            return [], f"at step {s.step} the loss is not finite, while all outputs and gradients are", _FINITE
        if bad:
            # In the order of time: the weights are there before, and backward comes last, from the end.
            where, row = next(
                (where, row)
                for where, rows in (
                    ("weight", [r for r in bad if r.weight_nonfinite]),
                    ("output", [r for r in bad if r.nonfinite]),
                    ("gradient", [r for r in reversed(bad) if r.grad_nonfinite]),
                )
                for row in rows
            )
            others = f", the first of {len(bad)} such layers" if len(bad) > 1 else ""
            return (
                [r.layer for r in bad],
                f"at step {s.step} the {where} of {_names([row])} is not finite{others}",
                _FINITE,
            )
    return None


def _frozen(samples: Sequence[Sample]) -> Found:
    rows = [r for r in samples[-1].layers if not r.trains]
    if rows and len(rows) == len(samples[-1].layers):
        return [r.layer for r in rows], "no layer requires gradients", "model.requires_grad_(True)"
    if rows:
        return (
            [r.layer for r in rows],
            f"{_names(rows)} {_agree(rows, 'does not train: its', 'do not train: their')} parameters have "
            "requires_grad=False",
            "if that is not meant, layer.requires_grad_(True) before the optimiser is made",
        )
    return None


def _unreached(samples: Sequence[Sample]) -> Found:
    # What changes has a gradient, though it came by `autograd.grad`, where no hook is called.
    if not any(r.reached or r.changed for s in samples for r in s.layers):
        return (
            [],
            "no layer got a gradient in any watched step",
            "call loss.backward(), on a loss that was not detached",
        )
    latest = [_history(samples, r.layer) for r in samples[-1].layers if r.trains]
    rows = [h[-1] for h in latest if any(r.used for r in h) and not any(r.reached or r.changed for r in h)]
    if not rows:
        return None
    return (
        [r.layer for r in rows],
        f"{_names(rows)} {_agree(rows, 'is cut off: forward called it', 'are cut off: forward called them')}, and "
        "backward brought no gradient",
        "look for detach(), .data, item(), no_grad() or rounding after the layer, or an output that is never used",
    )


def _unused(samples: Sequence[Sample]) -> Found:
    histories = [_history(samples, r.layer) for r in samples[-1].layers if r.trains]
    rows = [history[-1] for history in histories if not any(r.used or r.reached or r.changed for r in history)]
    if not rows:
        return None
    return (
        [r.layer for r in rows],
        f"{_names(rows)} {_agree(rows, 'is', 'are')} never called in forward, and {_agree(rows, 'gets', 'get')} no "
        "gradient",
        f"use {_agree(rows, 'it', 'them')} in forward, or delete {_agree(rows, 'it', 'them')}",
    )


def _not_updated(samples: Sequence[Sample]) -> Found:
    if all(not s.stepped for s in samples) and len(samples) > 1:
        return [], "gradients came, but no weight ever changed", "call optimizer.step(), on this model's parameters"
    stepped = [s for s in samples if s.stepped]
    rows = []
    for row in samples[-1].layers:
        history = [r for r in _history(stepped, row.layer) if r.reached]
        if len(history) >= 2 and row.trains and not any(r.changed for r in history):
            rows.append(row)
    if rows and len(rows) < len([r for r in samples[-1].layers if r.trains]):
        return (
            [r.layer for r in rows],
            f"{_names(rows)} {_agree(rows, 'has gradients but never changes', 'have gradients but never change')}, "
            "while others do",
            f"give {_agree(rows, 'its', 'their')} parameters to the optimiser",
        )
    return None


def _symmetric(samples: Sequence[Sample]) -> Found:
    # At the start an output layer of zeros is good practice; after an update it must have come apart.
    late = [s for s in samples if s.step > 0]
    if not late:
        return None
    rows = [r for r in weighted(late[-1].layers) if r.spread is not None and r.reached and r.used]
    alike = [r for r in rows if r.spread is not None and r.weight_norm is not None and r.spread <= 1e-7 * r.weight_norm]
    if not alike:
        return None
    return (
        [r.layer for r in alike],
        f"all units of {_names(alike)} have the same weights at step {late[-1].step}, so they get the same gradient "
        "and stay one unit",
        "random initial weights: the layers' own, or nn.init.kaiming_normal_ and xavier_uniform_",
    )


def _dead(samples: Sequence[Sample]) -> Found:
    found = [(row.dead, row) for row in samples[-1].layers if row.dead is not None and row.dead > DEAD_SHARE]
    if not found:
        return None
    share, worst = max(found, key=lambda pair: pair[0])
    start = next((r.dead for r in _history(samples, worst.layer) if r.dead is not None), share)
    grown = f" ({start:.0%} at the start)" if start < share / 2 else ""
    return (
        [row.layer for _, row in found],
        f"{share:.0%} of the ReLU units after {_names([worst])} are 0 on whole batches{grown}, so no gradient passes",
        "a smaller learning rate, He initialisation with zero biases, batch norm, or LeakyReLU",
    )


def _saturated(samples: Sequence[Sample]) -> Found:
    found = []
    hidden = _hidden(samples[-1])
    for row in hidden:
        share = _middle([r.saturated for r in _history(samples, row.layer)])
        if share is not None and share > SATURATED_SHARE:
            found.append((share, row))
    if not found:
        return None
    share, worst = max(found, key=lambda pair: pair[0])
    return (
        [row.layer for _, row in found],
        f"{worst.activation} after {_names([worst])} is saturated in {share:.0%} of its values (slope under 5 % of the "
        "greatest)",
        "smaller initial weights (Glorot), normalised inputs, batch norm, or ReLU with He initialisation",
    )


def _hidden(sample: Sample) -> list[LayerSample]:
    """The layers that others read: at an output a saturated sigmoid is certainty, not illness."""
    rows = [r for r in sample.layers if r.used]
    last = weighted(sample.layers)[-1:]
    return [r for r in rows if (r not in last if r.hidden is None else r.hidden)]


def _unnormalised(samples: Sequence[Sample]) -> Found:
    size = _middle([s.input_rms for s in samples])
    if size is None or INPUT_TOO_SMALL <= size <= INPUT_TOO_LARGE or size == 0:
        return None
    return (
        [],
        f"the largest input feature has a root mean square of {size:.3g}, where normalised inputs have 1",
        "subtract each feature's mean over the training set and divide by its standard deviation",
    )


def _vanishing(samples: Sequence[Sample]) -> Found:
    # At the start, or all along: on its plateau a network fits its last biases, and then that gradient is small, too.
    grown = _grown(samples)
    ratios = [_middle([s.speed_ratio for s in part]) for part in (grown[:5], grown)]
    ratio = min([r for r in ratios if r is not None], default=1.0)
    if ratio * VANISHING_RATIO >= 1:
        return None
    if _dead(samples) is not None and _fading(samples) is None:
        return None  # The dead units are why.
    rows = weighted(samples[-1].layers)
    saturated = [
        (share, r)
        for r in _hidden(samples[-1])
        if (share := _middle([h.saturated for h in _history(samples, r.layer)]))
    ]
    also = ""
    if saturated:
        share, row = max(saturated, key=lambda pair: pair[0])
        also = f"; {row.activation} after {_names([row])} saturated in {share:.0%} of its values"
    slower = f"{1 / ratio:.0f} times slower than" if ratio else "not at all beside"
    return (
        [rows[0].layer],
        f"{_names(rows[:1])} learns {slower} {_names(rows[-1:])} (gradient norms){also}",
        "ReLU with He initialisation, batch or layer norm, residual connections; in recurrent networks LSTM or GRU",
    )


def _exploding(samples: Sequence[Sample]) -> Found:
    ratio, rows = _middle([s.speed_ratio for s in samples]), weighted(samples[-1].layers)
    cure = "smaller initial weights (He, Glorot), gradient clipping (nn.utils.clip_grad_norm_), batch or layer norm"
    if ratio is not None and ratio > EXPLODING_RATIO:
        return (
            [rows[0].layer],
            f"the gradient of {_names(rows[:1])} is {ratio:.0f} times that of {_names(rows[-1:])}",
            cure,
        )
    zero = _from_zero(samples)
    for s in samples:
        for r in weighted(s.layers):
            if (r.weight_norm or 0.0) < zero.get(r.layer, 0.0):
                continue
            if r.grad_norm and r.weight_norm and r.grad_norm > EXPLODING_GRADIENT * r.weight_norm:
                return (
                    [r.layer],
                    f"at step {s.step} the gradient of {_names([r])} has norm {r.grad_norm:.3g}, its weights "
                    f"{r.weight_norm:.3g}",
                    cure,
                )
    return None


def _signal(samples: Sequence[Sample]) -> tuple[float, list[LayerSample]] | None:
    """The standard deviation over the batch of the last hidden layer over that of the first, at the start."""
    rows = [r for r in weighted(_hidden(samples[0])) if r.signal is not None]
    if len(rows) < 2 or not rows[0].signal or rows[-1].signal is None:
        return None
    return sqrt(rows[-1].signal / rows[0].signal), rows


def _fading(samples: Sequence[Sample]) -> Found:
    found = _signal(samples)
    if found is None or not found[0] or found[0] * FADING_SIGNAL >= 1:  # Exactly 0 is dead rather than faded.
        return None
    return (
        [found[1][-1].layer],
        f"the activations' deviation over the batch falls from {_names(found[1][:1])} to {_names(found[1][-1:])} to "
        f"{found[0]:.1g} of what it was: the input hardly reaches the output",
        "larger initial weights (Glorot for tanh, He for ReLU), batch or layer norm, residual connections",
    )


def _growing(samples: Sequence[Sample]) -> Found:
    found = _signal(samples)
    if found is None or found[0] <= GROWING_SIGNAL:
        return None
    return (
        [found[1][-1].layer],
        f"the activations' deviation over the batch grows {found[0]:.3g} times from {_names(found[1][:1])} to "
        f"{_names(found[1][-1:])}",
        "smaller initial weights (Glorot for tanh, He for ReLU), batch or layer norm",
    )


def _greatest_updates(samples: Sequence[Sample], zero: dict[str, float]) -> list[tuple[int, float]]:
    """(step, update ratio of the layer that moves most, but for those below a norm in `zero`)."""
    ratios = [
        (
            s.step,
            [
                r.update_ratio
                for r in weighted(s.layers)
                if r.update_ratio is not None and (r.weight_norm or 0.0) >= zero.get(r.layer, 0.0)
            ],
        )
        for s in samples
        if s.stepped
    ]
    return [(step, max(found)) for step, found in ratios if found]


def _lr_too_large(samples: Sequence[Sample]) -> Found:
    sound = _sound(samples)
    cure = "a learning rate 3 to 10 times smaller, or a warm-up"
    losses = [s.loss for s in sound if s.loss is not None]
    third = len(losses) // 3
    if third >= 2:
        first, last = median(losses[:third]), median(losses[-third:])
        if first > 0 and last > LOSS_RISE * first:
            return [], f"the loss rose from {first:.3g} to {last:.3g}", cure
    ratios = _greatest_updates(sound, _from_zero(sound))
    # The first steps are often large; too large are those after which nothing of the start is left.
    early = max([ratio for _, ratio in ratios[:3]], default=0.0)
    typical = _middle([ratio for step, ratio in ratios if step >= FIRST_STEPS])
    if early > EARLY_UPDATE_TOO_LARGE:
        return [], f"one of the first steps changes the weights of a layer by {early:.0%} of their norm", cure
    if typical is not None and typical > UPDATE_TOO_LARGE:
        return (
            [],
            f"a typical step changes some layer by {typical:.0%} of its weights' norm; about 0.1 % is usual",
            cure,
        )
    return None


def _lr_too_small(samples: Sequence[Sample]) -> Found:
    # Of the first samples only: near the end of a good training, updates are small, too.
    most = max([ratio for _, ratio in _greatest_updates(samples, {})[:5]], default=UPDATE_TOO_SMALL)
    if most >= UPDATE_TOO_SMALL or not any(r.grad_norm for s in samples for r in s.layers):
        return None
    evidence = f"even the layer that moves most changes by {most:.1g} of its weights a step"
    if not most:
        evidence = "gradients come, but the updates are lost in rounding"
    return [], f"{evidence}; about 1e-3 is usual", "a learning rate 10 to 1000 times larger"


def _before_trouble(rule: Callable[[Sequence[Sample]], Found]) -> Callable[[Sequence[Sample]], Found]:
    """`rule` on the samples before the first value that is not finite."""

    def checked(samples: Sequence[Sample]) -> Found:
        sound = _sound(samples)
        return rule(sound) if sound else None

    return checked


# Name of the illness, its rule, and the illnesses found before that explain the same evidence.
RULES: list[tuple[str, Callable[[Sequence[Sample]], Found], tuple[str, ...]]] = [
    ("non-finite data", _nan_data, ()),
    ("non-finite values", _nonfinite, ("non-finite data",)),
    ("frozen layer", _frozen, ()),
    ("no gradient", _unreached, ("non-finite data", "non-finite values")),
    ("unused layer", _unused, ("non-finite data", "non-finite values")),
    ("not updated", _not_updated, ("non-finite data", "non-finite values", "no gradient")),
    ("symmetric weights", _before_trouble(_symmetric), ("no gradient", "not updated")),
    ("unnormalised input", _before_trouble(_unnormalised), ()),
    ("learning rate too large", _lr_too_large, ("not updated", "symmetric weights")),
    ("vanishing gradients", _before_trouble(_vanishing), ("symmetric weights",)),
    ("fading activations", _before_trouble(_fading), ("symmetric weights",)),
    ("dead units", _before_trouble(_dead), ("symmetric weights", "fading activations")),
    ("saturated units", _before_trouble(_saturated), ()),
    ("growing activations", _before_trouble(_growing), ("symmetric weights",)),
    ("exploding gradients", _before_trouble(_exploding), ("symmetric weights",)),
    (
        "learning rate too small",
        _before_trouble(_lr_too_small),
        ("not updated", "dead units", "vanishing gradients", "fading activations", "symmetric weights"),
    ),
]
