# Copyright (c) mmdiffkd contributors.
"""From two models to the config of their distillation.

``named`` reads configs, ``model`` builds and probes, ``places`` and
``scores`` find what can be compared, ``drafts`` and ``choose`` decide for a
method, ``text`` writes.
"""

from .writing import distill_config

__all__ = ['distill_config']
