# Copyright (c) mmdiffkd contributors.
"""Draw images with their class, and with what two students took it for."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from mmdiffkd.datasets import CLASSES

from .style import FALSE, FOUND
from .task_view import TaskView, show_image, spread

COLUMNS = 12


class Guess(NamedTuple):
    """The class that a model gives an image, and its probability."""

    label: int
    score: float


class ClassificationView(TaskView):
    """Test images of an ImageNet-style demo set, and their classes.

    Args:
        data (str): Folder of the set, with ``test/CLASS/*.png``.
    """

    metrics = {'accuracy/top1': 'top-1 accuracy'}
    rows = ['student alone', 'student distilled']
    height = 6.5
    count = 36
    legend = (
        'Above each the true class, below it what each student took it '
        'for. Blue: right. Orange, in brackets: wrong.'
    )

    def __init__(self, data: str) -> None:
        self.folder = Path(data) / 'test'

    def read_predictions(self, test_dir: str) -> dict[str, Guess]:
        """Read what ``mmdiffkd test --out predictions.pkl`` wrote.

        Returns:
            Dict[str, Guess]: By ``CLASS/NAME.png``.
        """
        with open(Path(test_dir) / 'predictions.pkl', 'rb') as file:
            rows = pickle.load(file)
        return {
            '/'.join(Path(row['img_path']).parts[-2:]): Guess(
                int(row['pred_label']), float(row['pred_score'].max())
            )
            for row in rows
        }

    def images(self) -> list[str]:
        """Return the images as ``CLASS/NAME.png``."""
        return sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.glob('*/*.png')
        )

    def draw_images(
        self, figure: SubFigure, predictions: dict[str, Any], count: int
    ) -> None:
        """Draw a grid of images; see :class:`TaskView`."""
        chosen = spread(self.images(), count)
        rows = -(-len(chosen) // COLUMNS)
        grid = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
        for image, axes in zip(chosen, grid):
            label = int(Path(image).parent.name)
            show_image(axes, read_image(self.folder / image))
            axes.set_title(CLASSES[label], loc='center')
            for row in self.rows:
                self.draw_row(row, axes, image, predictions[row][image])
        for axes in grid[len(chosen) :]:
            axes.set_visible(False)

    def draw_row(
        self, row: str, axes: Axes, image: str, predictions: Guess
    ) -> None:
        """Write a student's guess below an image."""
        right = predictions.label == int(Path(image).parent.name)
        name = CLASSES[predictions.label]
        text = f'{row.split()[-1]}: {name if right else f"[{name}]"}'
        axes.annotate(
            text,
            (0.5, 0),
            xycoords='axes fraction',
            xytext=(0, -4 - 11 * self.rows.index(row)),
            textcoords='offset points',
            ha='center',
            va='top',
            fontsize=8,
            color=FOUND if right else FALSE,
        )


def read_image(path: Path) -> np.ndarray:
    """Read an image, RGB, uint8, shape (H, W, 3)."""
    return (255 * plt.imread(path)).astype(np.uint8)
