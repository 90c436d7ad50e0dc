# Copyright (c) mmdiffkd contributors.
"""Print one table over the quickstart runs of several tasks."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from mmdiffkd.utils import UserError
from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.visualization import VIEWS

MODELS = ('teacher', 'student alone', 'student distilled')


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='TASK=WORK_DIR',
        help=f'task ({", ".join(VIEWS)}) and folder of its report.json',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


def read_row(run: str) -> list:
    """Return the cells of one task.

    Args:
        run (str): ``TASK=WORK_DIR``.
    """
    task, equals, work_dir = run.partition('=')
    if not equals or task not in VIEWS:
        raise UserError(
            f"'{run}' is not TASK=WORK_DIR with one of the tasks "
            f'{", ".join(VIEWS)}'
        )
    path = Path(work_dir) / 'report.json'
    if not path.is_file():
        raise UserError(f'{path} does not exist: did the run finish?')
    models = json.loads(path.read_text())
    view: Any = VIEWS[task]
    key, name = next(iter(view.metrics.items()))
    if not isinstance(models, dict) or not set(MODELS) <= set(models):
        raise UserError(
            f'{path} is no report of a quickstart run: it lacks '
            f'one of {", ".join(MODELS)}'
        )
    values = [
        view.scale * models[model]['metrics'].get(key, 0) for model in MODELS
    ]
    return [
        task,
        name,
        *(f'{value:.1f}' for value in values),
        f'{values[2] - values[1]:+.1f}',
        f'{work_dir}/report.png',
    ]


@command_line
def main(arguments: list[str] | None = None) -> None:
    rows = [read_row(run) for run in parse_args(arguments).runs]
    table = Table(box=box.SIMPLE_HEAD, title='Measured on the test images')
    for column in ('task', 'metric', *MODELS, 'gain'):
        left = column in ('task', 'metric')
        table.add_column(column, justify='left' if left else 'right')
    for *cells, _ in rows:
        table.add_row(*cells)
    console = Console(width=79, highlight=False)
    console.print(table)
    # Below the table: a path of any length stays in one piece.
    for task, *_, report in rows:
        print(f'{task}  {report}')
