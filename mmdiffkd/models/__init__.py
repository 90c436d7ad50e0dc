# Copyright (c) mmdiffkd contributors.
from .algorithms import FrozenTeacherDistill
from .connectors import DiffKDConnector, PairedConnector
from .distillers import DiffKDDistiller
from .losses import AttentionMSELoss, DiffKDLoss

__all__ = [
    'AttentionMSELoss', 'DiffKDConnector', 'DiffKDDistiller', 'DiffKDLoss',
    'FrozenTeacherDistill', 'PairedConnector'
]
