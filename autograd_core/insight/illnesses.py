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
from math import inf, isfinite, log, sqrt
from statistics import median

from autograd_core.insight import wiring
from autograd_core.insight.samples import LayerSample, Sample, weighted
from autograd_core.insight.wiring import Found, history, names_of

# The first layer's gradient so many times smaller than the last one's. Nielsen's network of two hidden layers, which
# trains, has 4; his of four, which hardly does, has 95.
VANISHING_RATIO = 50.0
# At this ratio the depth is no hindrance: that of his network of two hidden layers.
HEALTHY_RATIO = 4.0
# And so many times greater: his exploding recipe passes 1e3 in three layers.
EXPLODING_RATIO = 300.0
# A gradient so many times the weights: any usual step length would replace the layer.
EXPLODING_GRADIENT = 100.0
# Below this ratio of the first layer's to the last's, and with activations below this variance, a large gradient comes
# from the loss, not from the depth.
FROM_THE_LOSS = 10.0
LARGE_ACTIVATIONS = 1e4
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
# A loss so near to that of guessing (ln of the number of classes) after so many steps.
NEAR_CHANCE = 0.02
CHANCE_STEPS = 100
# A loss that has fallen to this part of what it was: the network learns.
LEARNT = 0.75
# Weights that have shrunk to this part of what they were.
SHRUNK = 0.01
# Weights that began as zeros are near them until their norm is the latest one over this. No source gives a number: from
# there on the layers behind get gradients of the size that they keep.
OUTGROWN = 10.0
# The samples that show the start: unless all steps are measured, those of steps 0, 1, 4, 16 and 64. Later the gradients
# of a training that goes well are small, too.
START_SAMPLES = 5
# And those of the first steps, 0, 1 and 4: one update that is too large shows at once, and later ones belong to what a
# typical step does.
EARLY_SAMPLES = 3


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
    return {r.layer: (history(samples, r.layer)[-1].weight_norm or 0.0) / OUTGROWN for r in zeros}


def _grown(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in which no layer is still near the zeros that it began with."""
    zero = _from_zero(samples)
    return [s for s in samples if not any((r.weight_norm or 0.0) < zero.get(r.layer, 0.0) for r in s.layers)]


def _part(ratio: float) -> str:
    return f"{ratio:.0%} of" if ratio < 100 else f"{ratio:.1g} times"


def _middle(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None and isfinite(v)]
    return median(known) if known else None


# -- rules: each returns (layers, evidence, cure), or None ----------------------------------------------------


def _shrunk(samples: Sequence[Sample]) -> Found:
    first = {r.layer: r.weight_norm for r in weighted(samples[0].layers)}
    rows = [(r, first.get(r.layer)) for r in weighted(samples[-1].layers)]
    if not rows or any(not before or r.weight_norm is None or r.weight_norm > SHRUNK * before for r, before in rows):
        return None
    row, before = rows[0]
    return (
        [r.layer for r, _ in rows],
        f"the weights of all layers shrank to less than a hundredth, those of {names_of([row])} from norm "
        f"{before:.3g} to {row.weight_norm:.3g}",
        "less weight decay, or less of whatever else pulls the weights to 0",
    )


def _chance(samples: Sequence[Sample]) -> Found:
    told = [(s.step, s.loss) for s in samples if s.loss is not None]
    rows = weighted(samples[-1].layers)
    classes = rows[-1].units if rows else None
    enough = CHANCE_STEPS * max(s.passes for s in samples)
    late = [loss for step, loss in told if step >= enough]
    if not late or classes is None or classes < 2:
        return None
    loss = median(late[-len(late) // 2 :])
    if abs(loss / log(classes) - 1) > NEAR_CHANCE:
        return None
    return (
        [],
        f"at step {told[-1][0]} the loss is still {loss:.3g}, that of guessing between {classes} classes "
        f"(ln {classes} = {log(classes):.3g}), and no layer shows why",
        "cross_entropy on the outputs as they are (no softmax or ReLU behind the last layer), labels that belong to "
        "their inputs, a larger learning rate; for what lies far back in a sequence, LSTM, GRU or attention",
    )


def _dead(samples: Sequence[Sample]) -> Found:
    found = [(row.dead, row) for row in samples[-1].layers if row.dead is not None and row.dead > DEAD_SHARE]
    if not found:
        return None
    share, worst = max(found, key=lambda pair: pair[0])
    start = next((r.dead for r in history(samples, worst.layer) if r.dead is not None), share)
    grown = f" ({start:.0%} at the start)" if start < share / 2 else ""
    return (
        [row.layer for _, row in found],
        f"{share:.0%} of the ReLU units after {names_of([worst])} are 0 on whole batches{grown}, so no gradient passes",
        "a smaller learning rate, He initialisation with zero biases, batch norm, or LeakyReLU",
    )


def _saturated(samples: Sequence[Sample]) -> Found:
    found = []
    hidden = _hidden(samples[-1])
    for row in hidden:
        share = _middle([r.saturated for r in history(samples, row.layer)])
        if share is not None and share > SATURATED_SHARE:
            found.append((share, row))
    if not found:
        return None
    share, worst = max(found, key=lambda pair: pair[0])
    return (
        [row.layer for _, row in found],
        f"{worst.activation} after {names_of([worst])} is saturated in {share:.0%} of its values (slope under 5 % of "
        "the greatest)",
        "smaller initial weights (Glorot), normalised inputs, batch norm, or ReLU with He initialisation",
    )


def _hidden(sample: Sample) -> list[LayerSample]:
    """The layers that others read: at an output a saturated sigmoid is certainty, not illness."""
    rows = [r for r in sample.layers if r.used]
    last = weighted(sample.layers)[-1:]
    return [r for r in rows if (r not in last if r.hidden is None else r.hidden)]


def _unnormalised(samples: Sequence[Sample]) -> Found:
    size = inf if any(s.input_rms == inf for s in samples) else _middle([s.input_rms for s in samples])
    if size is None or INPUT_TOO_SMALL <= size <= INPUT_TOO_LARGE or size == 0:
        return None
    used = [r for r in samples[-1].layers if r.used]
    behind = next((b for a, b in zip(used, used[1:]) if a in weighted([a])), None)
    if behind is not None and "Norm" in behind.kind:
        return None  # What the first layer makes of it is normalised.
    return (
        [],
        f"the largest feature that the first layer gets has a root mean square of {size:.3g}, where normalised inputs "
        "have 1",
        "subtract each feature's mean over the training set and divide by its standard deviation",
    )


def _collapsed(samples: Sequence[Sample]) -> bool:
    """Whether the first layer's gradient was as good as the last's until the first updates: it is not for the depth."""
    ratios = [s.speed_ratio for s in samples if s.speed_ratio is not None]
    late = _middle(ratios[1:])
    if late is None or _learns(samples):
        return False
    return ratios[0] * HEALTHY_RATIO >= 1 and late * VANISHING_RATIO < 1


def _vanishing(samples: Sequence[Sample]) -> Found:
    # At the start, or all along: on its plateau a network fits its last biases, and then that gradient is small, too.
    grown = _grown(samples)
    if _collapsed(grown):
        return None
    ratios = [_middle([s.speed_ratio for s in part]) for part in (grown[:START_SAMPLES], _learning(grown))]
    ratio = min([r for r in ratios if r is not None], default=1.0)
    if ratio * VANISHING_RATIO >= 1:
        return None
    if _dead(samples) is not None and _fading(samples) is None:
        return None  # The dead units are why.
    if _learns(samples) and _keeps_pace(samples):
        return None
    rows = weighted(samples[-1].layers)
    saturated = [
        (share, r) for r in _hidden(samples[-1]) if (share := _middle([h.saturated for h in history(samples, r.layer)]))
    ]
    also = ""
    if saturated:
        share, row = max(saturated, key=lambda pair: pair[0])
        also = f"; {row.activation} after {names_of([row])} saturated in {share:.0%} of its values"
    slower = f"{1 / ratio:.0f} times slower than" if ratio else "not at all beside"
    return (
        [rows[0].layer],
        f"{names_of(rows[:1])} learns {slower} {names_of(rows[-1:])} (gradient norms){also}",
        "ReLU with He initialisation, batch or layer norm, residual connections"
        + "; in recurrent networks LSTM or GRU" * any(r.kind.startswith("RNN") for r in samples[-1].layers),
    )


def _learning(samples: Sequence[Sample]) -> list[Sample]:
    """The samples before the training has come to its end, where all gradients are small and their ratios chance."""
    first = next((s.loss for s in samples if s.loss is not None), None)
    if first is not None and first > 0:
        return [s for s in samples if s.loss is None or s.loss > first / 2]
    norms = [(s, weighted(s.layers)[-1].grad_norm or 0.0) for s in samples if weighted(s.layers)]
    largest = max([norm for _, norm in norms], default=0.0)
    return [s for s, norm in norms if norm >= largest / 10]


def _learns(samples: Sequence[Sample]) -> bool:
    """Whether the loss has fallen so far that what looks ill in the gradients did no harm."""
    losses = [s.loss for s in samples if s.loss is not None]
    return len(losses) >= 4 and 0 <= median(losses[-(len(losses) // 3) :]) < LEARNT * losses[0]


def _keeps_pace(samples: Sequence[Sample]) -> bool:
    """Whether the first layer's weights change as much as the last's, as an optimiser like Adam has them do."""
    ends = [(rows[0].update_ratio, rows[-1].update_ratio) for s in samples if (rows := weighted(s.layers))]
    ratio = _middle([first / last for first, last in ends if first is not None and last])
    return ratio is not None and ratio * VANISHING_RATIO >= 1


def _exploding(samples: Sequence[Sample]) -> Found:
    return _large_gradients(samples, _learns(samples))


def _exploding_at_once(samples: Sequence[Sample]) -> Found:
    return _large_gradients(samples[:1], _learns(samples))


def _large_gradients(samples: Sequence[Sample], learns: bool) -> Found:
    ratio, rows = _middle([s.speed_ratio for s in samples]), weighted(samples[-1].layers)
    clipping = "gradient clipping (nn.utils.clip_grad_norm_)"
    cure = f"smaller initial weights (He, Glorot), {clipping}, batch or layer norm"
    if ratio is not None and ratio > EXPLODING_RATIO:
        return (
            [rows[0].layer],
            f"the gradient of {names_of(rows[:1])} is {ratio:.0f} times that of {names_of(rows[-1:])}",
            cure,
        )
    largest = max([r.variance or 0.0 for r in _hidden(samples[0])], default=0.0)
    if (ratio is None or ratio < FROM_THE_LOSS) and largest < LARGE_ACTIVATIONS:
        if learns:
            return None
        cure = f"a smaller loss (targets of mean 0 and variance 1, the mean over the batch, no sum), {clipping}"
    zero = _from_zero(samples)
    for s in samples:
        if s.scaled and s.scale is None:
            continue
        for r in weighted(s.layers):
            if (r.weight_norm or 0.0) < zero.get(r.layer, 0.0):
                continue
            if r.grad_norm and r.weight_norm and r.grad_norm > EXPLODING_GRADIENT * r.weight_norm:
                return (
                    [r.layer],
                    f"at step {s.step} the gradient of {names_of([r])} has norm {r.grad_norm:.3g}, its weights "
                    f"{r.weight_norm:.3g}",
                    cure,
                )
    return None


def _signal(samples: Sequence[Sample]) -> tuple[float, list[LayerSample]] | None:
    """The standard deviation over the batch of the last hidden layer over that of the first, at the start."""
    rows = [r for r in weighted(_hidden(samples[0])) if r.signal is not None and r.weight_norm]
    if len(rows) < 2 or not rows[0].signal or rows[-1].signal is None:
        return None
    return sqrt(rows[-1].signal / rows[0].signal), rows


def _fading(samples: Sequence[Sample]) -> Found:
    found = _signal(samples)
    if found is None or not 0 < found[0] * FADING_SIGNAL < 1:  # Exactly 0 is dead rather than faded.
        return None
    if _learns(samples) and _keeps_pace(samples):
        return None
    return (
        [found[1][-1].layer],
        f"the activations' deviation over the batch falls from {names_of(found[1][:1])} to {names_of(found[1][-1:])} "
        f"to {found[0]:.1g} of what it was: the input hardly reaches the output",
        "larger initial weights (Glorot for tanh, He for ReLU), batch or layer norm, residual connections",
    )


def _growing(samples: Sequence[Sample]) -> Found:
    found = _signal(samples)
    if found is None or not found[0] > GROWING_SIGNAL:
        return None
    return (
        [found[1][-1].layer],
        f"the activations' deviation over the batch grows {found[0]:.3g} times from {names_of(found[1][:1])} to "
        f"{names_of(found[1][-1:])}",
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
    cure = "a learning rate 3 to 10 times smaller, or a warm-up"
    losses = [s.loss for s in samples if s.loss is not None]
    third = len(losses) // 3
    if third >= 3:  # Single batches: fewer are chance.
        first, last = median(losses[:third]), median(losses[-third:])
        if first > 0 and last > LOSS_RISE * first:
            return [], f"the loss rose from {first:.3g} to {last:.3g}", cure
    if _collapsed(_grown(samples)):
        return (
            [],
            "after the first updates the first layer's gradient is next to nothing, which it was not before",
            cure,
        )
    ratios = _greatest_updates(samples, _from_zero(samples))
    # The first steps are often large; too large are those after which nothing of the start is left.
    early = max([ratio for _, ratio in ratios[:EARLY_SAMPLES]], default=0.0)
    typical = _middle([ratio for step, ratio in ratios if step >= FIRST_STEPS])
    if early > EARLY_UPDATE_TOO_LARGE:
        return [], f"one of the first steps changes the weights of a layer by {_part(early)} their norm", cure
    if typical is not None and typical > UPDATE_TOO_LARGE:
        return (
            [],
            f"a typical step changes some layer by {_part(typical)} its weights' norm; about 0.1 % is usual",
            cure,
        )
    return None


def _lr_too_small(samples: Sequence[Sample]) -> Found:
    # Of the first samples only: near the end of a good training, updates are small, too.
    most = max([ratio for _, ratio in _greatest_updates(samples, {})[:START_SAMPLES]], default=UPDATE_TOO_SMALL)
    if most >= UPDATE_TOO_SMALL or not any(r.grad_norm for s in samples for r in s.layers):
        return None
    evidence = f"even the layer that moves most changes by {most:.1g} of its weights a step"
    if not most:
        evidence = "the optimiser's steps change no weight: they are 0, or lost in rounding"
    return [], f"{evidence}; about 1e-3 is usual", "a learning rate above 0, 10 to 1000 times larger"


def _before_trouble(rule: Callable[[Sequence[Sample]], Found]) -> Callable[[Sequence[Sample]], Found]:
    """`rule` on the samples before the first value that is not finite."""

    def checked(samples: Sequence[Sample]) -> Found:
        sound = _sound(samples)
        return rule(sound) if sound else None

    return checked


# Name of the illness, its rule, and the illnesses found before that explain the same evidence.
RULES: list[tuple[str, Callable[[Sequence[Sample]], Found], tuple[str, ...]]] = [
    ("non-finite data", wiring.nan_data, ()),
    ("non-finite values", wiring.nonfinite, ("non-finite data",)),
    ("frozen layer", wiring.frozen, ()),
    ("no gradient", wiring.unreached, ("non-finite data", "non-finite values")),
    ("unused layer", wiring.unused, ("non-finite data", "non-finite values")),
    ("not updated", wiring.not_updated, ("non-finite data", "non-finite values", "no gradient")),
    ("zero gradients", _before_trouble(wiring.zero_gradients), ("no gradient",)),
    ("gradients not cleared", wiring.uncleared, ("not updated",)),
    ("symmetric weights", _before_trouble(wiring.symmetric), ("no gradient", "not updated")),
    ("unnormalised input", _before_trouble(_unnormalised), ()),
    ("shrinking weights", _before_trouble(_shrunk), ()),
    ("growing activations", _before_trouble(_growing), ("symmetric weights",)),
    ("exploding gradients", _before_trouble(_exploding_at_once), ("symmetric weights",)),
    (
        "learning rate too large",
        _before_trouble(_lr_too_large),
        ("not updated", "symmetric weights", "growing activations", "exploding gradients", "gradients not cleared"),
    ),
    (
        "vanishing gradients",
        _before_trouble(_vanishing),
        ("symmetric weights", "not updated", "zero gradients", "shrinking weights", "exploding gradients"),
    ),
    ("fading activations", _before_trouble(_fading), ("symmetric weights",)),
    ("dead units", _before_trouble(_dead), ("symmetric weights", "fading activations")),
    ("saturated units", _before_trouble(_saturated), ()),
    ("exploding gradients", _before_trouble(_exploding), ("symmetric weights", "shrinking weights")),
    (
        "learning rate too small",
        _before_trouble(_lr_too_small),
        (
            "not updated",
            "zero gradients",
            "dead units",
            "vanishing gradients",
            "fading activations",
            "symmetric weights",
        ),
    ),
]
_ALL = tuple(illness for illness, _, _ in RULES if illness != "frozen layer")
RULES.append(("no better than chance", _before_trouble(_chance), _ALL))
