# Copyright (c) mmdiffkd contributors.
from .algorithms import DiffusionPretraining, FrozenTeacherDistill
from .backbones import (
    CIFARMobileNetV2,
    CIFARResNet,
    CIFARShuffleNetV1,
    CIFARShuffleNetV2,
    CIFARWideResNet,
    MobileNetV1,
)
from .connectors import (
    DiffKDConnector,
    DSKDConnector,
    MimicConnector,
    PairedConnector,
)
from .distillers import DiffKDDistiller
from .losses import (
    AttentionMSELoss,
    BoxRegressionLoss,
    DiffKDLoss,
    DISTLoss,
    DKDLoss,
    KLDivergence,
    LSHFeatureLoss,
)

__all__ = [
    'AttentionMSELoss',
    'BoxRegressionLoss',
    'CIFARMobileNetV2',
    'CIFARResNet',
    'CIFARShuffleNetV1',
    'CIFARShuffleNetV2',
    'CIFARWideResNet',
    'DISTLoss',
    'DKDLoss',
    'DSKDConnector',
    'DiffKDConnector',
    'DiffKDDistiller',
    'DiffKDLoss',
    'DiffusionPretraining',
    'FrozenTeacherDistill',
    'KLDivergence',
    'LSHFeatureLoss',
    'MimicConnector',
    'MobileNetV1',
    'PairedConnector',
]
