# Copyright (c) mmdiffkd contributors.
from .algorithms import FrozenTeacherDistill
from .connectors import DiffKDConnector, PairedConnector
from .distillers import DiffKDDistiller
from .losses import (AttentionMSELoss, DiffKDLoss, DISTLoss, DKDLoss,
                     KLDivergence)

__all__ = [
    'AttentionMSELoss', 'DISTLoss', 'DKDLoss', 'DiffKDConnector',
    'DiffKDDistiller', 'DiffKDLoss', 'FrozenTeacherDistill', 'KLDivergence',
    'PairedConnector'
]
