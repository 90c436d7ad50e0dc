# Copyright (c) mmdiffkd contributors.
"""A set of a few small street scenes, laid out like CamVid's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

CLASSES = 11


def _write_split(root: Path, split: str, count: int) -> None:
    rng = np.random.default_rng(len(split))
    images, labels = root / 'images' / split, root / 'labels' / split
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for index in range(count):
        blocks = rng.integers(0, CLASSES, (9, 12), dtype=np.uint8)
        label = np.kron(blocks, np.ones((8, 8), np.uint8))
        picture = np.stack([label * 20, 255 - label * 20, label * 7], axis=2)
        label[:4] = 255  # void
        assert cv2.imwrite(str(images / f'{index:03}.jpg'), picture)
        assert cv2.imwrite(str(labels / f'{index:03}.png'), label)


@pytest.fixture
def tiny_camvid(tmp_path):
    """Folder with ``images`` and ``labels`` of 96x72 pixels."""
    root = tmp_path / 'camvid'
    for split, count in dict(train=8, val=2, test=2).items():
        _write_split(root, split, count)
    return root
