# Copyright (c) mmdiffkd contributors.
"""Random number generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolated_rng(gpu: bool = False) -> Iterator[None]:
    """Leave the global generators as they were before.

    Teacher and distiller are built and initialised in it, so that the
    student starts from the very weights that it has without distillation.

    Args:
        gpu (bool): Whether that of the current GPU is left as it was too, if
            there is one; asking for it waits for the GPU. Defaults to False.
    """
    states = random.getstate(), np.random.get_state()
    devices = (
        [torch.cuda.current_device()]
        if (gpu and torch.cuda.is_available() and torch.cuda.is_initialized())
        else []
    )
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
