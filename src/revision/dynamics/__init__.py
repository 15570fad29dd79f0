"""Contrastive training under observation (section 3, figure 1) and what makes the gap stay: a study of its causes.

Two choices that the paper leaves open, made once here. The embedding-level gradient is that of InfoNCE with respect to
the unit embeddings, as free variables: of this one lemma B.6 holds exactly (it lies in the span of the other
modality's batch); behind the normalisation a component along the embedding itself would be taken off. The effective
condition number is `revision.geometry.spectrum.effective_condition_number`.
"""

from revision.dynamics.monitor import GapMonitor, MonitorSettings, Probe
from revision.dynamics.run import observe_training

__all__ = ["GapMonitor", "MonitorSettings", "Probe", "observe_training"]
