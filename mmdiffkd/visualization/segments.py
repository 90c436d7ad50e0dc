# Copyright (c) mmdiffkd contributors.
"""Draw label maps over grey images."""

from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Patch

from mmdiffkd.datasets.cityscapes import PALETTE, SEGMENTATION_CLASSES, VOID

from .task_view import TaskView, show_image

IMAGE, LABELS = '_leftImg8bit.png', '_gtFine_labelTrainIds.png'


class SegmentationView(TaskView):
    """Label maps of the test images of a Cityscapes-format demo set.

    Args:
        data (str): Folder of the set, with ``leftImg8bit/test`` and
            ``gtFine/test``.
    """

    metrics = dict(mIoU='mIoU', mAcc='mAcc', aAcc='pixel accuracy')
    rows = ['image', 'truth', 'student alone', 'student distilled']
    height = 11.5
    legend = (
        'Below a prediction: mean IoU over the classes that are in the '
        'image or were predicted in it.'
    )

    def __init__(self, data: str) -> None:
        self.data = Path(data)

    def read_predictions(self, test_dir: str) -> Path:
        """Return the folder that ``IoUMetric(output_dir=...)`` wrote."""
        return Path(test_dir) / 'predictions'

    def images(self) -> list[Path]:
        """Return the image files."""
        return sorted((self.data / 'leftImg8bit' / 'test').rglob('*' + IMAGE))

    def draw_images(
        self, figure: SubFigure, predictions: dict[str, Any], count: int
    ) -> None:
        """See :class:`TaskView`; colours are explained above."""
        super().draw_images(figure, predictions, count)
        figure.legend(
            handles=[
                Patch(color=(red / 255, green / 255, blue / 255), label=name)
                for name, (red, green, blue) in zip(
                    SEGMENTATION_CLASSES, PALETTE
                )
            ],
            loc='outside upper right',
            ncols=len(PALETTE),
            handlelength=1,
            columnspacing=1,
        )

    def draw_row(
        self, row: str, axes: Axes, image: Path, predictions: Path | None
    ) -> None:
        """See :class:`TaskView`."""
        name = image.name[: -len(IMAGE)]
        pixels = (255 * plt.imread(image)).astype(np.uint8)
        if row == 'image':
            show_image(axes, pixels)
            axes.set_title(name, weight='normal', loc='center')
            return
        truth = read_labels(
            self.data / 'gtFine' / 'test' / image.parent.name / (name + LABELS)
        )
        if predictions is None:
            show_image(axes, overlay(pixels, truth))
            return
        found = read_labels(predictions / image.name)
        show_image(axes, overlay(pixels, found))
        axes.set_xlabel(f'IoU {mean_iou(found, truth):.0%}')


def read_labels(path: Path) -> np.ndarray:
    """Read a label map, uint8, shape (H, W)."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colour a grey copy of an image by its labels.

    Args:
        image (np.ndarray): RGB, uint8, shape (H, W, 3).
        labels (np.ndarray): Labels, uint8, shape (H, W). Void becomes white.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).
    """
    colours = np.full((VOID + 1, 3), 255, float)
    colours[: len(PALETTE)] = PALETTE
    # The background keeps most of its grey, digits little of it.
    share = np.where(labels == 0, 0.45, 0.85)[..., None]
    grey = image.mean(axis=-1, keepdims=True)
    return ((1 - share) * grey + share * colours[labels]).astype(np.uint8)


def mean_iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean IoU over the classes in either of two label maps.

    Args:
        found (np.ndarray): Predicted labels, shape (H, W).
        truth (np.ndarray): Annotated labels, shape (H, W); void pixels do
            not count.
    """
    counted = truth != VOID
    found, truth = found[counted], truth[counted]
    ious = [
        ((found == label) & (truth == label)).sum()
        / ((found == label) | (truth == label)).sum()
        for label in np.union1d(found, truth)
    ]
    return float(np.mean(ious))
