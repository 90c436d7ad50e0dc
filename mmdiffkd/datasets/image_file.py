# Copyright (c) mmdiffkd contributors.
"""Write images so that a full disk is an error."""

from pathlib import Path

import cv2
import numpy as np


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image as PNG or JPEG; OpenCV itself ignores a full disk.

    Args:
        path (Path): File to write, ``.png`` or ``.jpg``.
        image (np.ndarray): RGB, shape (H, W, 3), or one channel, shape
            (H, W); uint8.
    """
    if image.ndim == 3:
        image = image[..., ::-1]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == '.jpg' else []
    _, data = cv2.imencode(path.suffix, image, quality)
    path.write_bytes(data.tobytes())
