# Copyright (c) mmdiffkd contributors.
from .attention_mse_loss import AttentionMSELoss
from .diffkd_loss import DiffKDLoss

__all__ = ['AttentionMSELoss', 'DiffKDLoss']
