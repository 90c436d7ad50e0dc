# Copyright (c) mmdiffkd contributors.
from .algorithms import FrozenTeacherDistill
from .connectors import DiffKDConnector, PairedConnector
from .distillers import DiffKDDistiller
from .losses import (AttentionMSELoss, BoxRegressionLoss, DiffKDLoss, DISTLoss,
                     DKDLoss, KLDivergence)

__all__ = [
    'AttentionMSELoss', 'BoxRegressionLoss', 'DISTLoss', 'DKDLoss',
    'DiffKDConnector', 'DiffKDDistiller', 'DiffKDLoss', 'FrozenTeacherDistill',
    'KLDivergence', 'PairedConnector'
]
