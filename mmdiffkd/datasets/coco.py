# Copyright (c) mmdiffkd contributors.
"""Write scenes as a COCO-format detection set."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .digits import CLASSES
from .image_file import write_image
from .scene import Scene


def write_coco_split(root: Path, split: str, scenes: Iterable[Scene]) -> dict:
    """Write the images of one split and its instances file.

    The layout is COCO's: ``SPLIT/000001.jpg`` and
    ``annotations/instances_SPLIT.json``. Each instance also carries the
    ``sample_id`` of the handwriting it was made from.

    Args:
        root (Path): Folder of the set.
        split (str): Name of the split.
        scenes (Iterable[Scene]): Scenes in their order.

    Returns:
        dict: How many ``images`` and ``instances`` were written.
    """
    (root / split).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, scene in enumerate(scenes, start=1):
        name = f'{image_id:06d}.jpg'
        write_image(root / split / name, scene.image)
        height, width = scene.image.shape[:2]
        images.append(
            dict(id=image_id, file_name=name, height=height, width=width)
        )
        for digit in scene.digits:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=digit.label + 1,  # COCO counts from 1
                    bbox=list(digit.box),
                    area=int(digit.mask.sum()),
                    iscrowd=0,
                    segmentation=_encode_mask(digit.mask),
                    sample_id=digit.sample_id,
                )
            )
    instances = dict(
        info=dict(description='scenes of handwritten digits, scikit-learn'),
        images=images,
        annotations=annotations,
        categories=[
            dict(id=label + 1, name=name) for label, name in enumerate(CLASSES)
        ],
    )
    (root / 'annotations' / f'instances_{split}.json').write_text(
        json.dumps(instances, sort_keys=True)
    )
    return dict(images=len(images), instances=len(annotations))


def _encode_mask(mask: np.ndarray) -> dict:
    """Encode visible pixels as COCO's compressed run lengths."""
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=encoded['size'], counts=encoded['counts'].decode())
