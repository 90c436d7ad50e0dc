# Copyright (c) mmdiffkd contributors.
"""The base set: can the library itself train the model for a step?"""

from typing import Any

from .stock_step import build, sizes_of, train_step
from .zoo import load_untrained


def base_trial(file: str) -> dict[str, Any]:
    """Build a stock model, initialise it, and train it for one step.

    Args:
        file (str): Its config.

    Returns:
        dict: ``size`` of the images (pixels), ``losses`` (their names).
    """
    cfg = load_untrained(file)
    model = build(cfg)
    model.init_weights()
    step = train_step(model, cfg, sizes_of(model))
    return dict(size=step.size, losses=sorted(step.losses))
