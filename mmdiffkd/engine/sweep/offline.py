# Copyright (c) mmdiffkd contributors.
"""What a process does before it forks the trials of a sweep."""

import importlib
import logging
import os
import socket
import warnings
from typing import Any


def stay_offline() -> None:
    """Refuse connections from now on, in this process and its children.

    A model that wants a download fails at once, instead of after a minute of
    attempts.
    """
    os.environ['HF_HUB_OFFLINE'] = os.environ['TRANSFORMERS_OFFLINE'] = '1'

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError('no network in a sweep')

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


def import_all() -> None:
    """Import the libraries once, for all processes forked from this one."""
    import mmdet.apis
    import mmdet.models
    import mmpretrain.apis
    import mmpretrain.models
    import mmseg.apis
    import mmseg.models
    import torch
    from mmdet.utils import register_all_modules as of_mmdet
    from mmpretrain.utils import register_all_modules as of_mmpretrain
    from mmseg.utils import register_all_modules as of_mmseg

    import mmdiffkd.models

    for register in (of_mmdet, of_mmseg, of_mmpretrain):
        register(init_default_scope=False)
    # A forked process has none of its parent's threads.
    torch.set_num_threads(1)
    del mmdet, mmseg, mmpretrain, mmdiffkd


def be_quiet() -> None:
    """Log and lay out nothing from now on, in this whole process."""
    # Nobody reads these configs, and to lay them out takes seconds.
    layout = importlib.import_module('mmengine.config.config')
    vars(layout)['FormatCode'] = lambda text, **_: (text, True)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
