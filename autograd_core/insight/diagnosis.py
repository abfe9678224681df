"""What the figures of a watched training mean: the findings, and how they are put into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from autograd_core.insight.illnesses import RULES
from autograd_core.insight.samples import Ending, Sample
from autograd_core.insight.wiring import FINITE, count, names_of

_FEW = 3  # Samples.


@dataclass
class Finding:
    """One illness: its name, the layers concerned, the evidence in words and figures, the usual cure."""

    illness: str
    layers: list[str]
    evidence: str
    cure: str

    def __str__(self) -> str:
        return f"{self.illness}: {self.evidence}. Try: {self.cure}."


class Diagnosis:
    """The findings, gravest first; true if there is any. Iterable; `print` it."""

    def __init__(self, findings: Sequence[Finding], samples: Sequence[Sample], steps: int, idle: str) -> None:
        """steps: training passes in all. idle: why nothing was measured, if nothing was."""
        self.findings, self.samples, self.steps, self._idle = list(findings), len(samples), steps, idle
        self._last = samples[-1].step if samples else -1

    @property
    def illnesses(self) -> list[str]:
        return [finding.illness for finding in self.findings]

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        if not self.samples:
            return f"nothing was measured: {self._idle}"
        if not self.findings:
            watched = (
                f"{count(self.samples, 'watched step')}, the last of them step {self._last}, of {self.steps} in all"
            )
            few = "; too few to say much" if self.samples < _FEW else ""
            return f"no illness found in {watched}{few}"
        return "\n".join(f"{i}. {finding}" for i, finding in enumerate(self.findings, 1))

    __repr__ = __str__


def diagnose(samples: Sequence[Sample], ending: Ending, ignore: Sequence[str] = (), idle: str = "") -> Diagnosis:
    """The illnesses that `samples` show, but for those whose names are in `ignore`.

    A rule whose illness explains another's evidence silences that one: after the first NaN no ratio means anything,
    and dead units have no gradient.
    """
    known = sorted({illness for illness, _, _ in RULES})
    ignore = [ignore] if isinstance(ignore, str) else ignore
    wrong = [name for name in ignore if name not in known]
    if wrong:
        raise ValueError(f"diagnosis: there is no illness {wrong[0]!r} to ignore; there are: {', '.join(known)}")
    findings: list[Finding] = []
    seen: set[str] = set()
    skipped = set(ignore)
    if ending.moved and not any(s.stepped for s in samples):
        skipped.add("not updated")  # A weight did change, after the last sample.
    judged = [s for s in samples if not s.overflowed] or samples
    last = Sample(ending.steps - 1, samples[-1].layers if samples else [], ending.loss)  # As far as it is known.
    for illness, rule, silenced_by in RULES if samples else []:
        if illness not in seen | skipped and not seen.intersection(silenced_by):
            finding = rule([*judged, last] if illness == "no better than chance" else judged)
            if finding is not None:
                findings.append(Finding(illness, *finding))
                seen.add(illness)
    if samples and not {"non-finite data", "non-finite values"} & (seen | skipped):
        findings[:0] = _at_the_end(judged, ending)
    return Diagnosis(findings, samples, ending.steps, idle)


def _at_the_end(samples: Sequence[Sample], ending: Ending) -> list[Finding]:
    """What became of the training after its last measured step."""
    scaled = any(s.scale is not None for s in samples)  # A GradScaler tries scales under which the loss is not finite.
    if ending.broken:
        where = f"the weights of {names_of(ending.broken)} are not finite"
    elif ending.loss is not None and not isfinite(ending.loss) and not scaled:
        where = "the last loss is not finite"
    else:
        return []
    evidence = f"after {count(ending.steps, 'step')} {where}; step {samples[-1].step}, the last one measured, was sound"
    cure = f"watch(model, every=1) from shortly before, which shows where it begins; {FINITE}"
    return [Finding("non-finite values", [row.layer for row in ending.broken], evidence, cure)]
