# Copyright (c) mmdiffkd contributors.
from mmdiffkd.compat import mend_pkd_loss

from .attention_mse_loss import AttentionMSELoss
from .box_regression_loss import BoxRegressionLoss
from .diffkd_loss import DiffKDLoss
from .dist_loss import DISTLoss
from .dkd_loss import DKDLoss
from .kl_divergence import KLDivergence
from .lsh_feature_loss import LSHFeatureLoss

mend_pkd_loss()

__all__ = [
    'AttentionMSELoss',
    'BoxRegressionLoss',
    'DISTLoss',
    'DKDLoss',
    'DiffKDLoss',
    'KLDivergence',
    'LSHFeatureLoss',
]
