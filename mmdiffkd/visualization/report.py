# Copyright (c) mmdiffkd contributors.
"""One picture of a distillation: what was measured, learned and found."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from .panels import draw_bars, draw_curves, draw_levels
from .run_log import Curve, RunLog, read_metrics, read_run
from .style import ALONE, DISTILLED, SETTINGS, TEACHER
from .task_view import TaskView

COLUMNS = 4


class Measured(NamedTuple):
    """What is known of one model.

    Attributes:
        run (RunLog): What its training logged.
        metrics (Dict[str, float]): Test metrics, such as ``coco/bbox_mAP``.
        predictions (Any): Predictions on the test images, as the view of
            the task reads them.
    """

    run: RunLog
    metrics: dict[str, float]
    predictions: Any

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
            metrics=self.metrics,
        )


def read_measured(view: TaskView, train_dir: str, test_dir: str) -> Measured:
    """Read what a training and a test run left behind.

    Args:
        view (TaskView): What to look for.
        train_dir (str): Work folder of the training.
        test_dir (str): Work folder of the test, with the predictions in it.
    """
    # CocoMetric reports nothing of a detector that finds nothing: AP 0.
    metrics = dict.fromkeys(view.metrics, 0.0)
    run = read_run(train_dir)
    metrics.update(read_metrics(test_dir))
    return Measured(run, metrics, view.read_predictions(test_dir))


class Report:
    """Draw the report on a teacher, a student alone and one distilled.

    Args:
        view (TaskView): Metrics of the task, and how to draw predictions.
        teacher (Measured): The teacher.
        alone (Measured): The student, trained without a teacher.
        distilled (Measured): The same student, distilled.
    """

    def __init__(
        self,
        view: TaskView,
        teacher: Measured,
        alone: Measured,
        distilled: Measured,
    ) -> None:
        self.view = view
        self.models = {
            'teacher': teacher,
            'student alone': alone,
            'student distilled': distilled,
        }
        self.colours = dict(zip(self.models, (TEACHER, ALONE, DISTILLED)))

    def test_metrics(self, model: str) -> dict[str, float]:
        """Return the test metrics of a model by their plain names (%)."""
        return {
            name: self.view.scale * self.models[model].metrics[key]
            for key, name in self.view.metrics.items()
        }

    def draw(
        self, out: str, title: str, note: str, count: int | None = None
    ) -> None:
        """Draw the picture.

        Args:
            out (str): PNG file to write.
            title (str): Headline.
            note (str): Line below it.
            count (int, optional): Test images to show. Defaults to None:
                what suits the task.
        """
        panels = self._panels()
        rows = -(-len(panels) // COLUMNS)
        heights = 0.9 + 3.1 * rows, self.view.height  # inches
        # Without a display, and whatever the user's own settings are.
        matplotlib.use('agg')
        with plt.rc_context(SETTINGS):
            figure = plt.figure(
                figsize=(16, sum(heights)), layout='constrained'
            )
            top, bottom = figure.subfigures(2, 1, height_ratios=heights)
            top.suptitle(
                f'{title}\n\n', x=0.01, ha='left', size=16, weight='bold'
            )
            top.text(0.0105, 1 - 0.6 / heights[0], note, size=10)
            axes = list(top.subplots(rows, COLUMNS, squeeze=False).flat)
            for draw, place in zip(panels, axes):
                draw(place)
            for place in axes[len(panels) :]:
                place.set_visible(False)
            bottom.suptitle(
                f'Test images at even distances. {self.view.legend}',
                x=0.01,
                ha='left',
                size=10,
            )
            self.view.draw_images(
                bottom,
                {name: m.predictions for name, m in self.models.items()},
                self.view.count if count is None else count,
            )
            figure.savefig(out, dpi=100)
            plt.close(figure)

    def _panels(self) -> list[Callable[[Axes], None]]:
        """Return one drawing function for each panel of curves or bars."""
        alone = self.models['student alone'].run.train
        distilled = self.models['student distilled'].run
        students = ['student alone', 'student distilled']
        key, name = self.view.headline, self.view.metrics[self.view.headline]
        panels: list[Callable[[Axes], None]] = [
            partial(
                draw_bars,
                title=f'{name} on the test images',
                bars={m: self.test_metrics(m) for m in self.models},
                colours=self.colours,
            ),
            partial(
                draw_curves,
                title=f'{name} on the validation images',
                curves={
                    model: self._in_percent(measured.run.val[key])
                    for model, measured in self.models.items()
                    if key in measured.run.val
                },
                colours=self.colours,
                smoothed=False,
            ),
        ]
        for loss, curve in alone.items():
            if 'loss' in loss and f'student.{loss}' in distilled.train:
                title = 'Task loss' if loss == 'loss' else f'Task loss: {loss}'
                curves = [curve, distilled.train[f'student.{loss}']]
                panels.append(
                    partial(
                        draw_curves,
                        title=title,
                        curves=dict(zip(students, curves)),
                        colours=self.colours,
                    )
                )
        families = distilled.families()
        for family in sorted(families, key=_reading_order):
            panels.append(
                partial(draw_levels, family=family, levels=families[family])
            )
        return panels

    def _in_percent(self, curve: Curve) -> Curve:
        steps, values = curve
        return steps, self.view.scale * values


def _reading_order(family: str) -> tuple:
    """Losses first, and the distillation's own loss before all others."""
    return family != 'loss_kd', 'loss' not in family, family
