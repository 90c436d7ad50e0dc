# Copyright (c) mmdiffkd contributors.
"""Random number generators."""
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch


@contextmanager
def isolated_rng() -> Iterator[None]:
    """Leave the global generators of the CPU as they were before.

    Teacher and distiller are built and initialised in it, so that the
    student starts from the very weights that it has without distillation.
    """
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
