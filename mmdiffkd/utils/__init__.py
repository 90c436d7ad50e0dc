# Copyright (c) mmdiffkd contributors.
from .errors import UserError
from .rng import isolated_rng

__all__ = ['UserError', 'isolated_rng']
