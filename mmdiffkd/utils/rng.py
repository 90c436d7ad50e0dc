# Copyright (c) mmdiffkd contributors.
"""Random number generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


def get_rng_states() -> dict[str, Any]:
    """States of the global generators of Python, NumPy and PyTorch.

    Returns:
        dict: Plain values and tensors, which
        ``torch.load(weights_only=True)`` can read.
    """
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    keys = torch.from_numpy(numpy['state']['key'].astype(np.int64))
    state = dict(
        python=[version, torch.tensor(words, dtype=torch.int64), gauss],
        # In the order of the tuple that `set_state` takes.
        numpy=[
            numpy['bit_generator'],
            keys,
            numpy['state']['pos'],
            numpy['has_gauss'],
            numpy['gauss'],
        ],
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_states(state: dict[str, Any]) -> None:
    """Put back what :func:`get_rng_states` gave."""
    version, words, gauss = state['python']
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
    # A runner may load its checkpoint onto the GPU; states belong to the CPU.
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
