# Copyright (c) mmdiffkd contributors.
"""Write scenes as a Cityscapes-format segmentation set."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .digits import CLASSES
from .image_file import write_image
from .scene import Scene

# What a pixel can be, in the order of the labels.
SEGMENTATION_CLASSES = ('background', *CLASSES)

# Colours to draw them in, RGB; the demo's configs name the same.
PALETTE = (
    (40, 40, 40),
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (255, 221, 51),
    (188, 189, 34),
    (23, 190, 207),
)

# Pixels that count for nothing, neither in training nor in evaluation.
VOID = 255

# The one city of the set; Cityscapes has a folder for each.
CITY = 'demo'


def write_cityscapes_split(
    root: Path, split: str, scenes: Iterable[Scene]
) -> dict:
    """Write the images and label maps of one split.

    The layout is Cityscapes': ``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png``
    and ``gtFine/SPLIT/CITY/NAME_gtFine_labelTrainIds.png``.

    Args:
        root (Path): Folder of the set.
        split (str): Name of the split.
        scenes (Iterable[Scene]): Scenes in their order.

    Returns:
        dict: How many ``images`` and labelled ``digits`` were written.
    """
    pictures = root / 'leftImg8bit' / split / CITY
    labels = root / 'gtFine' / split / CITY
    for folder in (pictures, labels):
        folder.mkdir(parents=True)
    images = digits = 0
    for images, scene in enumerate(scenes, start=1):
        name = f'{CITY}_{images:06d}'
        write_image(pictures / f'{name}_leftImg8bit.png', scene.image)
        write_image(
            labels / f'{name}_gtFine_labelTrainIds.png', label_map(scene)
        )
        digits += len(scene.digits)
    return dict(images=images, digits=digits)


def label_map(scene: Scene) -> np.ndarray:
    """Return the class of every pixel, an index of SEGMENTATION_CLASSES.

    The pixel's width around a digit in which its ink fades into the ground
    is void.

    Args:
        scene (Scene): A scene.

    Returns:
        np.ndarray: Labels, uint8, shape (H, W).
    """
    labels = np.zeros(scene.image.shape[:2], np.uint8)
    masks = [digit.mask for digit in scene.digits]
    for mask in masks:
        rim = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
        labels[rim > 0] = VOID
    for digit in scene.digits:
        labels[digit.mask] = digit.label + 1
    return labels
