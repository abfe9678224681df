"""What the figures of a watched training mean: the findings, and how they are put into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autograd_core.insight.illnesses import RULES, count
from autograd_core.insight.samples import Sample


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

    def __init__(self, findings: Sequence[Finding], samples: int) -> None:
        self.findings, self.samples = list(findings), samples

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
            return "nothing was measured: no forward pass in training mode with gradients on was watched to its end"
        if not self.findings:
            return f"no illness found in {count(self.samples, 'watched step')}"
        return "\n".join(f"{i}. {finding}" for i, finding in enumerate(self.findings, 1))

    __repr__ = __str__

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(finding) for finding in self.findings]


def diagnose(samples: Sequence[Sample]) -> Diagnosis:
    """The illnesses that `samples` show.

    A rule whose illness explains another's evidence silences that one: after the first NaN no ratio means anything,
    and dead units have no gradient.
    """
    findings: list[Finding] = []
    watched, samples = len(samples), [s for s in samples if not s.overflowed] or samples
    if samples:
        seen: set[str] = set()
        for illness, rule, silenced_by in RULES:
            if not seen.intersection(silenced_by):
                finding = rule(samples)
                if finding is not None:
                    findings.append(Finding(illness, *finding))
                    seen.add(illness)
    return Diagnosis(findings, watched)
