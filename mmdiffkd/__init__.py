# Copyright (c) mmdiffkd contributors.
"""Diffusion-based knowledge distillation for OpenMMLab."""

from .compat import setup as _setup_compat
from .utils.configs.own_configs import bases
from .version import __version__

# Before anything else of OpenMMLab is touched: MMRazor cannot be imported on
# current PyTorch without it.
_setup_compat()

__all__ = ['__version__', 'bases']
