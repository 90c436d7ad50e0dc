# Copyright (c) mmdiffkd contributors.
from .algorithms import FrozenTeacherDistill
from .backbones import CIFARResNet
from .connectors import DiffKDConnector, DSKDConnector, PairedConnector
from .distillers import DiffKDDistiller
from .losses import (AttentionMSELoss, BoxRegressionLoss, DiffKDLoss, DISTLoss,
                     DKDLoss, KLDivergence, LSHFeatureLoss)

__all__ = [
    'AttentionMSELoss', 'BoxRegressionLoss', 'CIFARResNet', 'DISTLoss',
    'DKDLoss', 'DSKDConnector', 'DiffKDConnector', 'DiffKDDistiller',
    'DiffKDLoss', 'FrozenTeacherDistill', 'KLDivergence', 'LSHFeatureLoss',
    'PairedConnector'
]
