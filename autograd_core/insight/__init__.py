"""Instruments: what a model is made of (`summary`), how its training goes (`watch`), what it computes (`draw`).

See docs/insight.md for what each figure means, and for the thresholds of the diagnosis with their sources.
"""

from autograd_core.insight.summary import LayerSummary as LayerSummary
from autograd_core.insight.summary import Summary as Summary
from autograd_core.insight.summary import summary as summary
