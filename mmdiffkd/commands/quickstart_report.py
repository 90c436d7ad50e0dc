# Copyright (c) mmdiffkd contributors.
"""Draw report.png of a quickstart run and print what was measured."""

import argparse
import json
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from mmdiffkd.utils import UserError
from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.visualization import VIEWS, Report, read_measured

TASKS = dict(det='detection', seg='segmentation', cls='classification')
# Where the test images of a demo set are.
IMAGES = dict(det='test', seg='leftImg8bit/test', cls='test')


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        'work_dir',
        type=Path,
        help='holds teacher, student and diffkd (training runs) and '
        'test/teacher, test/student and test/diffkd (test runs)',
    )
    parser.add_argument(
        '--task', choices=list(VIEWS), default='det', help='what was trained'
    )
    parser.add_argument(
        '--data',
        type=Path,
        help='demo set with a test split; without it, data/demo/TASK',
    )
    parser.add_argument(
        '--images',
        type=int,
        help='test images to show; without it, what suits the task',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


def print_table(report: Report) -> None:
    """Print one row for each model."""
    table = Table(box=box.SIMPLE_HEAD, title='Measured on the test images')
    table.add_column('model')
    for column in (*report.view.metrics.values(), 'iterations', 's/iteration'):
        table.add_column(column, justify='right')
    for name, model in report.models.items():
        metrics = report.test_metrics(name).values()
        table.add_row(
            name,
            *(f'{value:.1f}' for value in metrics),
            str(model.iterations),
            f'{model.seconds_per_iteration:.3f}',
        )
    # A fixed width, so that a log file shows whole columns as well.
    Console(width=79, highlight=False).print(table)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    data = args.data or Path('data/demo') / args.task
    for folder in (args.work_dir / 'teacher', data / IMAGES[args.task]):
        if not folder.is_dir():
            raise UserError(
                f'{folder} does not exist. tools/quickstart.sh makes it'
            )
    view = VIEWS[args.task](data)
    report = Report(
        view,
        *(
            read_measured(
                view, args.work_dir / name, args.work_dir / 'test' / name
            )
            for name in ('teacher', 'student', 'diffkd')
        ),
    )
    name = view.metrics[view.headline]
    alone, distilled = (
        report.test_metrics(model)[name]
        for model in ('student alone', 'student distilled')
    )
    report.draw(
        args.work_dir / 'report.png',
        title=f'DiffKD quickstart: {TASKS[args.task]}',
        note='The same student trained twice for '
        f'{report.models["student alone"].iterations} iterations from one '
        'seed: alone, and distilled with DiffKD '
        f'({distilled - alone:+.1f} {name}).',
        count=args.images,
    )
    numbers = {name: model.summary() for name, model in report.models.items()}
    (args.work_dir / 'report.json').write_text(
        json.dumps(numbers, indent=2) + '\n'
    )
    print_table(report)
