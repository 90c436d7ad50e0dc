# Copyright (c) mmdiffkd contributors.
"""One picture of a distillation: what was measured, learned and found."""
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Dict, List, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import SubFigure
from pycocotools.coco import COCO

from .detections import (Box, draw_found, draw_truth, read_predictions,
                         read_truth, spread)
from .panels import AP_KINDS, draw_bars, draw_curves, draw_levels
from .run_log import RunLog, read_metrics, read_run
from .style import ALONE, DISTILLED, SETTINGS, TEACHER

COLUMNS = 4


class Measured(NamedTuple):
    """What is known of one model.

    Attributes:
        run (RunLog): What its training logged.
        metrics (Dict[str, float]): Test metrics, such as ``coco/bbox_mAP``.
        predictions (Dict[int, List[Box]]): Test detections by image id.
    """
    run: RunLog
    metrics: Dict[str, float]
    predictions: Dict[int, List[Box]]

    @property
    def iterations(self) -> int:
        """Iterations trained."""
        return int(self.run.train['loss'][0][-1])

    @property
    def seconds_per_iteration(self) -> float:
        """Mean time of an iteration, data loading included (s)."""
        return float(self.run.train['time'][1].mean())

    def summary(self) -> dict:
        """Return the numbers as plain values."""
        return dict(
            iterations=self.iterations,
            seconds_per_iteration=round(self.seconds_per_iteration, 4),
            metrics=self.metrics)


def read_measured(train_dir: str, test_dir: str, score: float) -> Measured:
    """Read what a training and a test run left behind.

    Args:
        train_dir (str): Work folder of the training.
        test_dir (str): Work folder of the test, with
            ``predictions.bbox.json`` in it.
        score (float): Detections below it are left out.
    """
    run = read_run(train_dir)
    # CocoMetric reports nothing of a detector that finds nothing: AP 0.
    metrics = {f'coco/bbox_{kind}': 0. for kind in AP_KINDS}
    metrics.update(read_metrics(test_dir))
    predictions = Path(test_dir) / 'predictions.bbox.json'
    return Measured(run, metrics, read_predictions(predictions, score))


class Report:
    """Draw the report on a teacher, a student alone and one distilled.

    Args:
        teacher (Measured): The teacher.
        alone (Measured): The student, trained without a teacher.
        distilled (Measured): The same student, distilled.
        annotations (str): COCO annotations of the test images.
        images (str): Folder of the test images.
    """

    def __init__(self, teacher: Measured, alone: Measured,
                 distilled: Measured, annotations: str, images: str) -> None:
        self.models = {
            'teacher': teacher,
            'student alone': alone,
            'student distilled': distilled
        }
        self.colours = dict(zip(self.models, (TEACHER, ALONE, DISTILLED)))
        with open(annotations) as file:
            self.truth = COCO()
            self.truth.dataset = json.load(file)
        with redirect_stdout(io.StringIO()):  # it prints its progress
            self.truth.createIndex()
        self.images = Path(images)

    def draw(self, out: str, title: str, note: str, count: int = 6) -> None:
        """Draw the picture.

        Args:
            out (str): PNG file to write.
            title (str): Headline.
            note (str): Line below it.
            count (int): Test images to show. Defaults to 6.
        """
        panels = self._panels()
        rows = -(-len(panels) // COLUMNS)
        heights = 0.9 + 3.1 * rows, 8.5  # inches
        # Without a display, and whatever the user's own settings are.
        matplotlib.use('agg')
        with plt.rc_context(SETTINGS):
            figure = plt.figure(
                figsize=(16, sum(heights)), layout='constrained')
            top, bottom = figure.subfigures(2, 1, height_ratios=heights)
            top.suptitle(
                f'{title}\n\n', x=0.01, ha='left', size=16, weight='bold')
            top.text(0.0105, 1 - 0.6 / heights[0], note, size=10)
            axes = top.subplots(rows, COLUMNS, squeeze=False).flat
            for draw, place in zip(panels, axes):
                draw(place)
            for place in list(axes)[len(panels):]:
                place.set_visible(False)
            self._draw_images(bottom, count)
            figure.savefig(out, dpi=100)
            plt.close(figure)

    def _panels(self) -> list:
        """Return one drawing function for each panel of curves or bars."""
        alone = self.models['student alone'].run.train
        distilled = self.models['student distilled'].run
        students = ['student alone', 'student distilled']
        panels = [
            lambda axes: draw_bars(
                axes,
                {name: model.metrics
                 for name, model in self.models.items()}, self.colours),
            lambda axes: draw_curves(
                axes,
                'AP on the validation images', {
                    name: _in_percent(model.run.val['coco/bbox_mAP'])
                    for name, model in self.models.items()
                    if 'coco/bbox_mAP' in model.run.val
                },
                self.colours,
                smoothed=False)
        ]
        for key in alone:
            if key.startswith('loss_'):
                curves = [alone[key], distilled.train[f'student.{key}']]
                panels.append(
                    lambda axes, key=key, curves=curves: draw_curves(
                        axes, f'Task loss: {key}', dict(zip(students, curves)),
                        self.colours))
        families = distilled.families()
        for family in sorted(families, key=_reading_order):
            levels = families[family]
            panels.append(lambda axes, family=family, levels=levels:
                          draw_levels(axes, family, levels))
        return panels

    def _draw_images(self, figure: SubFigure, count: int) -> None:
        """Draw test images: the truth, then what each student found."""
        figure.suptitle(
            'Test images at even distances. Solid blue: the right class, '
            'overlap (IoU) of 50% or more. Dashed orange: false.',
            x=0.01,
            ha='left',
            size=10)
        names = {key: cat['name'] for key, cat in self.truth.cats.items()}
        chosen = spread(sorted(self.truth.imgs), count)
        rows = figure.subplots(3, len(chosen), squeeze=False)
        for image_id, (top, middle, bottom) in zip(chosen, rows.T):
            name = self.truth.imgs[image_id]['file_name']
            image = plt.imread(self.images / name)
            truth = read_truth(self.truth, image_id)
            draw_truth(top, image, truth, names)
            top.set_title(name, weight='normal', loc='center')
            for axes, model in ((middle, 'student alone'),
                                (bottom, 'student distilled')):
                found = self.models[model].predictions.get(image_id, [])
                draw_found(axes, image, found, truth, names)
        for axes, label in zip(rows[:, 0],
                               ('truth', 'student alone',
                                'student distilled')):
            axes.set_ylabel(label, size=11, weight='bold')


def _reading_order(family: str) -> tuple:
    """Losses first, and the distillation's own loss before all others."""
    return family != 'loss_kd', 'loss' not in family, family


def _in_percent(curve: tuple) -> tuple:
    steps, values = curve
    return steps, 100 * values
