# Copyright (c) mmdiffkd contributors.
"""Draw the truth and what detectors found, one image in each panel."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .style import FALSE, FOUND, TRUTH
from .task_view import TaskView, show_image

if TYPE_CHECKING:  # MMDetection brings it; other tasks do without
    from pycocotools.coco import COCO


class Box(NamedTuple):
    """A box as (x, y, width, height), its class and its score."""

    xywh: tuple[float, float, float, float]
    category: int
    score: float = 1.0


class DetectionView(TaskView):
    """Boxes on the test images of a COCO-format set.

    Args:
        data (str): Folder of the set, with ``test/`` and
            ``annotations/instances_test.json``.
        score (float): Detections below it are not shown. Defaults to 0.3.
    """

    metrics = {
        'coco/bbox_mAP': 'AP',
        'coco/bbox_mAP_50': 'AP50',
        'coco/bbox_mAP_75': 'AP75',
    }
    scale = 100.0

    def __init__(self, data: str, score: float = 0.3) -> None:
        from pycocotools.coco import COCO

        self.score = score
        self.folder = Path(data) / 'test'
        path = Path(data) / 'annotations' / 'instances_test.json'
        self.coco = COCO()
        self.coco.dataset = json.loads(path.read_text())
        with redirect_stdout(io.StringIO()):  # it prints its progress
            self.coco.createIndex()
        self.names = {key: c['name'] for key, c in self.coco.cats.items()}
        self.legend = (
            f'Boxes of a score of {score:.0%} or more. Solid blue: the right '
            'class, overlap (IoU) of 50% or more. Dashed orange: false.'
        )

    def read_predictions(self, test_dir: str) -> dict[int, list[Box]]:
        """Return the boxes by image id; see :func:`read_predictions`."""
        path = Path(test_dir) / 'predictions.bbox.json'
        return read_predictions(path, self.score)

    def images(self) -> list[int]:
        """Return the image ids."""
        return sorted(self.coco.imgs)

    def draw_row(
        self,
        row: str,
        axes: Axes,
        image: int,
        predictions: dict[int, list[Box]] | None,
    ) -> None:
        """See :class:`TaskView`."""
        name = self.coco.imgs[image]['file_name']
        pixels = plt.imread(self.folder / name)
        truth = read_truth(self.coco, image)
        if predictions is None:
            draw_truth(axes, pixels, truth, self.names)
            axes.set_title(name, weight='normal', loc='center')
        else:
            draw_found(
                axes, pixels, predictions.get(image, []), truth, self.names
            )


def read_predictions(path: str | Path, score: float) -> dict[int, list[Box]]:
    """Read the detections that ``CocoMetric(outfile_prefix=...)`` wrote.

    Args:
        path (str | Path): File that ends in ``.bbox.json``.
        score (float): Detections below it are left out.

    Returns:
        Dict[int, List[Box]]: Boxes by image id, the surest first.
    """
    with open(path) as file:
        rows = json.load(file)
    found: dict[int, list[Box]] = {}
    for row in sorted(rows, key=lambda row: -row['score']):
        if row['score'] >= score:
            box = Box(row['bbox'], row['category_id'], row['score'])
            found.setdefault(row['image_id'], []).append(box)
    return found


def read_truth(coco: 'COCO', image_id: int) -> list[Box]:
    """Return the annotated boxes of an image."""
    return [
        Box(row['bbox'], row['category_id'])
        for row in coco.imgToAnns[image_id]
    ]


def match(found: list[Box], truth: list[Box], iou: float = 0.5) -> list[bool]:
    """Tell which detections are right; each truth counts once.

    Args:
        found (List[Box]): Detections, the surest first.
        truth (List[Box]): Annotated boxes.
        iou (float): Least overlap. Defaults to 0.5.

    Returns:
        List[bool]: One answer for each detection.
    """
    from pycocotools import mask as coco_mask

    if not found or not truth:
        return [False] * len(found)
    overlaps = coco_mask.iou(
        np.array([box.xywh for box in found], float),
        np.array([box.xywh for box in truth], float),
        [0] * len(truth),
    )
    free = np.ones(len(truth), bool)
    answers = []
    for box, row in zip(found, overlaps):
        same = np.array([box.category == other.category for other in truth])
        row = np.where(free & same, row, 0)
        best = row.argmax()
        answers.append(bool(row[best] >= iou))
        if answers[-1]:
            free[best] = False
    return answers


def draw_truth(
    axes: Axes, image: np.ndarray, truth: list[Box], names: dict[int, str]
) -> None:
    """Draw an image with its annotated boxes."""
    show_image(axes, image)
    for box in truth:
        _draw_box(axes, box, names[box.category], TRUTH, '-')


def draw_found(
    axes: Axes,
    image: np.ndarray,
    found: list[Box],
    truth: list[Box],
    names: dict[int, str],
) -> None:
    """Draw an image with detections, the right ones apart from the rest.

    Right and wrong differ in colour and in the line, so that the picture
    reads in grey as well. The count stands below the image.
    """
    show_image(axes, image)
    answers = match(found, truth)
    # The surest last, hence on top.
    for box, right in reversed(list(zip(found, answers))):
        colour, line = (FOUND, '-') if right else (FALSE, (0, (3, 1.5)))
        _draw_box(
            axes, box, f'{names[box.category]} {box.score:.0%}', colour, line
        )
    wrong = len(found) - sum(answers)
    axes.set_xlabel(f'{sum(answers)} of {len(truth)} found, {wrong} false')


def _draw_box(axes: Axes, box: Box, text: str, colour: str, line) -> None:
    x, y, width, height = box.xywh
    halo = [patheffects.withStroke(linewidth=3, foreground='white')]
    axes.add_patch(
        Rectangle(
            (x, y),
            width,
            height,
            fill=False,
            edgecolor=colour,
            linewidth=1.6,
            linestyle=line,
            path_effects=halo,
        )
    )
    # Inside the image, also for a box that touches its upper edge.
    top = y > 9
    axes.text(
        max(x, 1),
        y - 1 if top else y + 1,
        text,
        color=colour,
        fontsize=7.5,
        fontweight='bold',
        va='bottom' if top else 'top',
        clip_on=True,
        path_effects=halo,
    )
