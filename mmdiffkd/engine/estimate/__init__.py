# Copyright (c) mmdiffkd contributors.
from .costs import estimate

__all__ = ['estimate']
