# Copyright (c) mmdiffkd contributors.
"""Read from two built models what a distillation config leaves out."""

from .completion import complete

__all__ = ['complete']
