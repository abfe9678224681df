"""Instruments: what a model is made of (`summary`), how its training goes (`watch`), what it computes (`draw`).

See docs/insight.md for what each figure means, and for the thresholds of the diagnosis with their sources.
"""

from autograd_core.insight.diagnosis import Diagnosis as Diagnosis
from autograd_core.insight.diagnosis import Finding as Finding
from autograd_core.insight.draw import Drawing as Drawing
from autograd_core.insight.draw import draw as draw
from autograd_core.insight.samples import LayerSample as LayerSample
from autograd_core.insight.samples import Sample as Sample
from autograd_core.insight.summary import LayerSummary as LayerSummary
from autograd_core.insight.summary import Summary as Summary
from autograd_core.insight.summary import summary as summary
from autograd_core.insight.watch import Watcher as Watcher
from autograd_core.insight.watch import watch as watch
