# Copyright (c) mmdiffkd contributors.
"""Draw the truth and what detectors found, one image in each panel."""
import json
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from .style import FALSE, FOUND, TRUTH


class Box(NamedTuple):
    """A box as (x, y, width, height), its class and its score."""
    xywh: Tuple[float, float, float, float]
    category: int
    score: float = 1.


def read_predictions(path: str, score: float) -> Dict[int, List[Box]]:
    """Read the detections that ``CocoMetric(outfile_prefix=...)`` wrote.

    Args:
        path (str): File that ends in ``.bbox.json``.
        score (float): Detections below it are left out.

    Returns:
        Dict[int, List[Box]]: Boxes by image id, the surest first.
    """
    with open(path) as file:
        rows = json.load(file)
    found = {}
    for row in sorted(rows, key=lambda row: -row['score']):
        if row['score'] >= score:
            box = Box(row['bbox'], row['category_id'], row['score'])
            found.setdefault(row['image_id'], []).append(box)
    return found


def read_truth(coco: COCO, image_id: int) -> List[Box]:
    """Return the annotated boxes of an image."""
    return [
        Box(row['bbox'], row['category_id'])
        for row in coco.imgToAnns[image_id]
    ]


def spread(image_ids: List[int], count: int) -> List[int]:
    """Choose images at even distances: no choice by their looks."""
    places = np.linspace(0, len(image_ids), count, endpoint=False)
    return [image_ids[int(place)] for place in places]


def match(found: List[Box], truth: List[Box], iou: float = 0.5) -> List[bool]:
    """Tell which detections are right; each truth counts once.

    Args:
        found (List[Box]): Detections, the surest first.
        truth (List[Box]): Annotated boxes.
        iou (float): Least overlap. Defaults to 0.5.

    Returns:
        List[bool]: One answer for each detection.
    """
    if not found or not truth:
        return [False] * len(found)
    overlaps = coco_mask.iou(
        np.array([box.xywh for box in found], float),
        np.array([box.xywh for box in truth], float), [0] * len(truth))
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


def draw_truth(axes: Axes, image: np.ndarray, truth: List[Box],
               names: Dict[int, str]) -> None:
    """Draw an image with its annotated boxes."""
    _show(axes, image)
    for box in truth:
        _draw_box(axes, box, names[box.category], TRUTH, '-')


def draw_found(axes: Axes, image: np.ndarray, found: List[Box],
               truth: List[Box], names: Dict[int, str]) -> None:
    """Draw an image with detections, the right ones apart from the rest.

    Right and wrong differ in colour and in the line, so that the picture
    reads in grey as well. The count stands below the image.
    """
    _show(axes, image)
    answers = match(found, truth)
    # The surest last, hence on top.
    for box, right in reversed(list(zip(found, answers))):
        colour, line = (FOUND, '-') if right else (FALSE, (0, (3, 1.5)))
        _draw_box(axes, box, f'{names[box.category]} {box.score:.0%}', colour,
                  line)
    wrong = len(found) - sum(answers)
    axes.set_xlabel(f'{sum(answers)} of {len(truth)} found, {wrong} false')


def _show(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, interpolation='nearest')
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_box(axes: Axes, box: Box, text: str, colour: str, line) -> None:
    x, y, width, height = box.xywh
    halo = [patheffects.withStroke(linewidth=3, foreground='white')]
    axes.add_patch(
        Rectangle((x, y),
                  width,
                  height,
                  fill=False,
                  edgecolor=colour,
                  linewidth=1.6,
                  linestyle=line,
                  path_effects=halo))
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
        path_effects=halo)
