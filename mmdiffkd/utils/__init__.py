# Copyright (c) mmdiffkd contributors.
from .errors import NonFiniteLossError, UserError
from .hints import closest
from .rng import isolated_rng

__all__ = ['NonFiniteLossError', 'UserError', 'closest', 'isolated_rng']
