# Copyright (c) mmdiffkd contributors.
from .errors import NonFiniteLossError, UserError
from .rng import isolated_rng

__all__ = ['NonFiniteLossError', 'UserError', 'isolated_rng']
