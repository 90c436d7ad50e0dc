# Copyright (c) mmdiffkd contributors.
"""What a report shows of one task, and no report of another."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from mmdiffkd.utils import UserError


class TaskView(ABC):
    """Metrics of a task, its predictions, and how to draw them.

    Attributes:
        metrics (Dict[str, str]): Names of the metrics, by those that the
            library logs. The first is the one to quote.
        scale (float): Factor that makes per cent of what is logged.
        legend (str): How to read the drawn test images.
        rows (List[str]): Rows of test images: models, and before them
            what is there without a model.
        height (float): Height of the drawn test images (inches).
        count (int): Test images to draw, unless told otherwise.
    """

    metrics: dict[str, str]
    scale: float = 1.0
    legend: str
    rows: list[str] = ['truth', 'student alone', 'student distilled']
    height: float = 8.5
    count: int = 6

    @property
    def headline(self) -> str:
        """Logged name of the metric to quote."""
        return next(iter(self.metrics))

    @abstractmethod
    def read_predictions(self, test_dir: str) -> Any:
        """Read what a test run left in its folder."""

    @abstractmethod
    def images(self) -> list[Any]:
        """Return the test images, in their order, by any key.

        Raises:
            UserError: If there are none.
        """

    @abstractmethod
    def draw_row(
        self, row: str, axes: Axes, image: Any, predictions: Any
    ) -> None:
        """Draw a test image as it belongs into a row.

        Args:
            row (str): One of ``rows``.
            axes (Axes): Where to draw.
            image (Any): One of ``images()``.
            predictions (Any): Of the model that the row is named after;
                None for a row without a model.
        """

    def draw_images(
        self, figure: SubFigure, predictions: dict[str, Any], count: int
    ) -> None:
        """Draw test images, a column each.

        Args:
            figure (SubFigure): Where to draw.
            predictions (Dict[str, Any]): Predictions by model.
            count (int): How many images.
        """
        images = self.images()
        if not images:
            raise UserError('the demo set has no test image')
        chosen = spread(images, count)
        grid = figure.subplots(len(self.rows), len(chosen), squeeze=False)
        for row, places in zip(self.rows, grid):
            for image, axes in zip(chosen, places):
                self.draw_row(row, axes, image, predictions.get(row))
            places[0].set_ylabel(row, size=11, weight='bold')


def spread(images: list[Any], count: int) -> list[Any]:
    """Choose images at even distances: no choice by their looks."""
    places = np.linspace(0, len(images), count, endpoint=False)
    return [images[int(place)] for place in places]


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Show an image (H, W, 3) or (H, W) without any axis."""
    axes.imshow(image, interpolation='nearest', cmap='gray', vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
