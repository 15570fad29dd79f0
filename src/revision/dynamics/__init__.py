"""Monitoring of the gap in contrastive training (section 3, figure 1), and a study of its causes.

Two definitions that the paper does not specify. The embedding-level gradient is that of InfoNCE with respect to the
unit embeddings as free variables: for this gradient lemma B.6 holds exactly (it is in the span of the other modality's
batch), whereas the gradient before the normalisation lacks the component along the embedding. The effective condition
number is `revision.geometry.spectrum.effective_condition_number`.
"""

from revision.dynamics.monitor import GapMonitor, MonitorSettings, Probe
from revision.dynamics.run import observe_training

__all__ = ["GapMonitor", "MonitorSettings", "Probe", "observe_training"]
