# Copyright (c) mmdiffkd contributors.
"""A COCO-format set of a few small images, laid out like COCO 2017."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 96, 128
CATEGORIES = [dict(id=1, name='person'), dict(id=3, name='car')]


def _write_split(root: Path, split: str, count: int) -> None:
    rng = np.random.default_rng(len(split))
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        picture = rng.integers(0, 64, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for category in CATEGORIES:
            x, y = (int(v) for v in rng.integers(0, 48, 2))
            w, h = (int(v) for v in rng.integers(24, 48, 2))
            color = (255, 255, 0) if category['id'] == 1 else (0, 128, 255)
            cv2.rectangle(picture, (x, y), (x + w, y + h), color, -1)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=category['id'],
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=0,
                )
            )
        name = f'{index:012}.png'
        assert cv2.imwrite(str(root / split / name), picture)
        images.append(
            dict(id=index, file_name=name, height=HEIGHT, width=WIDTH)
        )
    (root / 'annotations').mkdir(exist_ok=True)
    (root / 'annotations' / f'instances_{split}.json').write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=CATEGORIES)
        )
    )


@pytest.fixture
def tiny_coco(tmp_path):
    """Folder with ``train2017`` (12 images), ``val2017`` (2) and labels."""
    root = tmp_path / 'coco'
    _write_split(root, 'train2017', 12)
    _write_split(root, 'val2017', 2)
    return root
