# Copyright (c) mmdiffkd contributors.
"""Write the digits of scenes as an ImageNet-style classification set."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .digits import CLASSES
from .image_file import write_image
from .scene import Scene, SceneDigit

# Side of the images, in pixels.
SIDE = 32

# Least and most share of the image's side that the digit's longer side takes.
EXTENT = (0.5, 0.85)

# Largest shift of the digit from the middle, as a share of the side. More
# would leave open which of two digits is meant.
SHIFT = 0.1


def write_image_folder_split(
    root: Path, split: str, scenes: Iterable[Scene]
) -> dict:
    """Write one image for each digit of each scene.

    The layout is ImageNet's: ``SPLIT/CLASS/NAME.png``. Folders are named by
    the digit, so that their alphabetical order, which the stock datasets use,
    is that of the labels.

    Args:
        root (Path): Folder of the set.
        split (str): Name of the split.
        scenes (Iterable[Scene]): Scenes in their order.

    Returns:
        dict: How many ``images`` were written.
    """
    for label in range(len(CLASSES)):
        # All of them, or a small split would have fewer classes.
        (root / split / str(label)).mkdir(parents=True)
    images = 0
    for number, scene in enumerate(scenes, start=1):
        for index, digit in enumerate(scene.digits):
            # The scene's own numbers, so that equal scenes give equal crops.
            rng = np.random.default_rng([number, index, digit.sample_id])
            name = f'{number:06d}_{index}.png'
            write_image(
                root / split / str(digit.label) / name,
                crop(scene.image, digit, rng),
            )
            images += 1
    return dict(images=images)


def crop(
    image: np.ndarray, digit: SceneDigit, rng: np.random.Generator
) -> np.ndarray:
    """Cut a square around a digit, of a size left to chance.

    Clutter and parts of other digits may be in it; the labelled digit is
    whole.

    Args:
        image (np.ndarray): The scene, RGB, shape (H, W, 3).
        digit (SceneDigit): The digit to show.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: RGB, uint8, shape (SIDE, SIDE, 3).
    """
    x, y, width, height = digit.box
    longer = max(width, height)
    side = min(int(longer / rng.uniform(*EXTENT)), *image.shape[:2])
    shift = rng.uniform(-SHIFT, SHIFT, 2) * side
    corner = np.array([x + width / 2, y + height / 2]) - side / 2 + shift
    # The window stays inside the scene, and holds the whole digit.
    low = np.maximum(0, [x + width - side, y + height - side])
    high = np.minimum([x, y], [image.shape[1] - side, image.shape[0] - side])
    left, top = np.clip(np.rint(corner).astype(int), low, high)
    window = image[top : top + side, left : left + side]
    return cv2.resize(window, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
