# Copyright (c) mmdiffkd contributors.
from .algorithms import FrozenTeacherDistill
from .connectors import DiffKDConnector, PairedConnector
from .distillers import DiffKDDistiller
from .losses import DiffKDLoss

__all__ = [
    'DiffKDConnector', 'DiffKDDistiller', 'DiffKDLoss', 'FrozenTeacherDistill',
    'PairedConnector'
]
