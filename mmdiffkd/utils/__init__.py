# Copyright (c) mmdiffkd contributors.
from .errors import (
    ConfigKindError,
    ConfigNameError,
    NonFiniteLossError,
    UserError,
    closest,
)
from .rng import isolated_rng

__all__ = [
    'ConfigKindError',
    'ConfigNameError',
    'NonFiniteLossError',
    'UserError',
    'closest',
    'isolated_rng',
]
