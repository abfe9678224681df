"""The illnesses of the loop and of how the layers are connected, and the words that all rules use."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from autograd_core.insight.samples import LayerSample, Sample, weighted

# Passes without a step from which on it was forgotten, rather than gradients accumulated.
PASSES_WITHOUT_STEP = 10
# The greatest difference between the weights of two units over the norm of all. float32 rounds by 6e-8 of a number:
# what is no further apart began equal.
ALIKE = 1e-7

Found = tuple[list[str], str, str] | None


def names_of(rows: Sequence[LayerSample]) -> str:
    """'layer 2 (Linear)', or 'layers 2 (Linear), 4 (Linear) and 3 more'."""
    texts = [f"{row.layer} ({row.kind})" for row in rows[:3]]
    texts += [f"{len(rows) - 3} more"] if len(rows) > 3 else []
    return ("layer " if len(rows) == 1 else "layers ") + " and ".join(
        [", ".join(texts[:-1])] * (len(texts) > 1) + texts[-1:]
    )


def count(n: float, noun: str) -> str:
    return f"{n:.0f} {noun}" + "s" * (n != 1)


def agree(rows: Sequence[LayerSample], one: str, several: str) -> str:
    """The form of a word that fits the number of `rows`."""
    return one if len(rows) == 1 else several


def history(samples: Sequence[Sample], layer: str) -> list[LayerSample]:
    return [row for sample in samples for row in sample.layers if row.layer == layer]


def nan_data(samples: Sequence[Sample]) -> Found:
    for s in samples:
        if s.input_nonfinite:
            return (
                [],
                f"in the input of step {s.step}, {count(s.input_nonfinite, 'value')} "
                f"{'is' if s.input_nonfinite == 1 else 'are'} NaN or infinite",
                "find them with isfinite() in the data set, and drop or fill those samples",
            )
    return None


FINITE = (
    "a smaller learning rate, gradient clipping (nn.utils.clip_grad_norm_), an eps under every log, root and division; "
    "autograd.detect_anomaly() names the line"
)


def nonfinite(samples: Sequence[Sample]) -> Found:
    if all(s.overflowed for s in samples):
        return (
            [r.layer for r in samples[-1].layers if r.grad_nonfinite],
            "the GradScaler skipped every watched step, since there are gradients that are not finite at a scale of "
            f"{samples[-1].scale:.3g}",
            "more steps, in which it finds a smaller scale, or a smaller init_scale; if it goes on at a scale of 1, "
            "the gradients themselves are not finite, and autograd.detect_anomaly() names the line",
        )
    for before, s in zip([None, *samples], samples):
        bad = [r for r in s.layers if r.nonfinite or r.grad_nonfinite or r.weight_nonfinite]
        if not bad and s.loss is not None and not isfinite(s.loss):
            return [], f"at step {s.step} the loss is not finite, while all outputs and gradients are", FINITE
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
            if where == "weight" and before is not None:
                broken = [r for r in bad if r.weight_nonfinite]
                return (
                    [r.layer for r in broken],
                    f"at step {s.step} the weights of {names_of(broken)} are not finite; step {before.step}, measured "
                    "before it, was sound",
                    f"watch(model, every=1), which shows where it begins; look for NaN in the data; {FINITE}",
                )
            others = f", the first of {len(bad)} such layers" if len(bad) > 1 else ""
            return (
                [r.layer for r in bad],
                f"at step {s.step} the {where} of {names_of([row])} is not finite{others}",
                FINITE,
            )
    return None


def frozen(samples: Sequence[Sample]) -> Found:
    rows = [r for r in samples[-1].layers if not any(row.trains for row in history(samples, r.layer))]
    if rows and len(rows) == len(samples[-1].layers):
        return [r.layer for r in rows], "no layer requires gradients", "model.requires_grad_(True)"
    if rows:
        return (
            [r.layer for r in rows],
            f"{names_of(rows)} {agree(rows, 'does not train: its', 'do not train: their')} parameters have "
            "requires_grad=False",
            "if that is not meant, layer.requires_grad_(True) before the optimiser is made",
        )
    return None


def unreached(samples: Sequence[Sample]) -> Found:
    # What changes has a gradient, though it came by `autograd.grad`, where no hook is called.
    if not any(r.reached or r.changed for s in samples for r in s.layers):
        if samples[-1].step == 0 and samples[-1].passes == 1:
            return None  # It may have been a call to try the model, or one that an exception ended.
        return (
            [],
            "no layer got a gradient in any watched step",
            "call loss.backward(), on a loss that was not detached",
        )
    latest = [history(samples, r.layer) for r in samples[-1].layers if r.trains]
    rows = [h[-1] for h in latest if any(r.used for r in h) and not any(r.reached or r.changed for r in h)]
    if not rows:
        return None
    return (
        [r.layer for r in rows],
        f"{names_of(rows)} {agree(rows, 'is cut off: forward called it', 'are cut off: forward called them')}, and "
        "backward brought no gradient",
        "look for detach(), .data, item(), no_grad() or rounding after the layer, or an output that is never used",
    )


def unused(samples: Sequence[Sample]) -> Found:
    histories = [history(samples, r.layer) for r in samples[-1].layers if r.trains]
    rows = [rows[-1] for rows in histories if not any(r.used or r.reached or r.changed or r.moved for r in rows)]
    if not rows:
        return None
    return (
        [r.layer for r in rows],
        f"forward called {names_of(rows)} in none of the {count(len(samples), 'watched step')}, and "
        f"{agree(rows, 'it', 'they')} got no gradient",
        f"use {agree(rows, 'it', 'them')} in forward, or delete {agree(rows, 'it', 'them')}; if chance decides which "
        "layers run, watch(model, every=1) sees more",
    )


def not_updated(samples: Sequence[Sample]) -> Found:
    passes = samples[-1].step - samples[0].step + samples[-1].passes
    if passes >= PASSES_WITHOUT_STEP and not any(s.stepped or s.moved for s in samples):
        return (
            [],
            f"gradients came, but no weight changed in {passes} forward passes",
            "call optimizer.step(), on this model's parameters, before zero_grad() takes the gradients away",
        )
    stepped = [s for s in samples if s.stepped]
    rows = []
    for row in samples[-1].layers:
        reached = [r for r in history(stepped, row.layer) if r.reached]
        if len(reached) >= 2 and row.trains and not any(r.changed or r.moved for r in history(samples, row.layer)):
            rows.append(row)
    if rows and len(rows) < len([r for r in samples[-1].layers if r.trains]):
        return (
            [r.layer for r in rows],
            f"{names_of(rows)} {agree(rows, 'has gradients but never changes', 'have gradients but never change')}, "
            "while others do",
            f"give {agree(rows, 'its', 'their')} parameters to the optimiser",
        )
    return None


def zero_gradients(samples: Sequence[Sample]) -> Found:
    norms = [r.grad_norm or r.update_ratio for s in samples for r in s.layers if r.reached]
    if not norms or any(norms):
        return None
    return (
        [],
        f"the gradients of all layers are exactly 0 in every one of {count(len(samples), 'watched step')}",
        "look for a clamp, ReLU or hinge on its flat side between the output and the loss, or a loss that does not "
        "depend on the output; in float16 the gradients may be too small to be held: amp.GradScaler",
    )


def uncleared(samples: Sequence[Sample]) -> Found:
    for s in samples:
        if s.uncleared:
            return [], f"the gradients of step {s.step} were added to those of the step before", "optimizer.zero_grad()"
    return None


def symmetric(samples: Sequence[Sample]) -> Found:
    # At the start an output layer of zeros is good practice; after an update it must have come apart.
    late = [s for s in samples if s.step > 0]
    if not late:
        return None
    rows = [r for r in weighted(late[-1].layers) if r.spread is not None and r.reached and r.used]
    alike = [
        r for r in rows if r.spread is not None and r.weight_norm is not None and r.spread <= ALIKE * r.weight_norm
    ]
    if not alike:
        return None
    return (
        [r.layer for r in alike],
        f"all units of {names_of(alike)} have the same weights at step {late[-1].step}, so they get the same gradient "
        "and stay one unit",
        "random initial weights: the layers' own, or nn.init.kaiming_normal_ and xavier_uniform_",
    )
