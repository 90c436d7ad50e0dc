# Copyright (c) mmdiffkd contributors.
"""Diffusion-based knowledge distillation for OpenMMLab."""

import importlib
import os.path as osp
import sys
from itertools import pairwise
from typing import Any

from .version import __version__

__all__ = ['__version__', 'bases', 'distill_config', 'prepare']

# Where the names are that need PyTorch, which `import mmdiffkd.version` and
# the help of the command line do not.
_HOMES = dict(
    bases='utils.configs.own_configs',
    distill_config='pairing.writing',
    prepare='engine.prepare',
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _started_as_command() -> bool:
    """Whether Python starts ``mmdiffkd COMMAND``, see ``__main__.py``."""
    if sys.argv[:1] == ['-m']:  # as long as Python looks for the module
        return ('-m', __name__) in pairwise(sys.orig_argv)
    return osp.basename(sys.argv[0] if sys.argv else '') == __name__


if not _started_as_command():
    # Before anything else of OpenMMLab is touched: MMRazor cannot be imported
    # on current PyTorch without it.
    from .compat import setup as _setup_compat

    _setup_compat()
