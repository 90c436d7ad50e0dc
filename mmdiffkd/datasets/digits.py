# Copyright (c) mmdiffkd contributors.
"""Real handwriting, ten classes, shipped inside scikit-learn."""

from typing import NamedTuple

import numpy as np

CLASSES = (
    'zero',
    'one',
    'two',
    'three',
    'four',
    'five',
    'six',
    'seven',
    'eight',
    'nine',
)

# Share of the handwriting that each split may draw from.
SPLIT_SHARES = dict(train=0.7, val=0.1, test=0.2)


class DigitPool(NamedTuple):
    """Handwritten digits that one split may use.

    Attributes:
        images (np.ndarray): Ink from 0 to 1, float32, shape (N, 8, 8).
        labels (np.ndarray): Digit 0 to 9, shape (N, ).
        ids (np.ndarray): Row of each sample in scikit-learn's set, shape
            (N, ). Pools of different splits share no id.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


def load_digit_pools(seed: int = 0) -> dict[str, DigitPool]:
    """Divide scikit-learn's digits into disjoint pools, class by class.

    Args:
        seed (int): Seed of the division. Defaults to 0.

    Returns:
        Dict[str, DigitPool]: One pool for each of ``train``, ``val`` and
        ``test``. No handwriting sample is in two of them, so a detector
        cannot score on the test scenes by remembering strokes.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    rng = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLIT_SHARES}
    for label in range(len(CLASSES)):
        rows = rng.permutation(np.flatnonzero(digits.target == label))
        # Rounded, not truncated: 0.7 + 0.1 is 0.7999... in floating point.
        ends = np.rint(np.cumsum(list(SPLIT_SHARES.values())) * len(rows))
        for split, chosen in zip(parts, np.split(rows, ends.astype(int)[:-1])):
            parts[split].append(chosen)
    pools = {}
    for split, of_classes in parts.items():
        ids = np.sort(np.concatenate(of_classes))
        pools[split] = DigitPool(images[ids], digits.target[ids], ids)
    return pools
