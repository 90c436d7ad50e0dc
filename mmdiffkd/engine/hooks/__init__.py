# Copyright (c) mmdiffkd contributors.
"""Hooks of scope ``mmdiffkd``."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .data_check_hook import DataCheckHook
from .feature_visualization_hook import FeatureVisualizationHook
from .finite_loss_hook import FiniteLossHook
from .loop_state_hook import LoopStateHook
from .preemption_hook import PreemptionHook
from .rng_state_hook import RNGStateHook
from .sanity_hook import SanityHook
from .stop_distill_hook import StopDistillHook
from .student_checkpoint_hook import StudentCheckpointHook

__all__ = [
    'AtomicCheckpointHook',
    'DataCheckHook',
    'FeatureVisualizationHook',
    'FiniteLossHook',
    'LoopStateHook',
    'PreemptionHook',
    'RNGStateHook',
    'SanityHook',
    'StopDistillHook',
    'StudentCheckpointHook',
]
