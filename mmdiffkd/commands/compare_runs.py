# Copyright (c) mmdiffkd contributors.
"""Compare finished runs over their seeds: mean and deviation as a table.

Runs are work dirs named <method>-<seed>. The last validation of each counts.
"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.utils.errors import UserError


def last_values(run: Path, metric: str) -> tuple[float | None, float]:
    """Last value of a metric and median seconds per iteration of a run.

    Args:
        run (Path): Work dir of MMEngine.
        metric (str): Such as ``coco/bbox_mAP``.

    Returns:
        tuple[float | None, float]: None if it was never validated.

    Raises:
        UserError: If the log cannot be read.
    """
    value, times = None, []
    files = sorted(run.glob('*/vis_data/scalars.json'))
    # Each start of a run has a file of its own; the newest counts.
    for line in files[-1].read_text().splitlines() if files else ():
        try:
            row = dict(json.loads(line))
        except ValueError as error:
            # A killed run leaves half of its last line.
            raise UserError(
                f'{files[-1]} is cut or no log of MMEngine: {error}'
            ) from error
        value = row.get(metric, value)
        if 'loss' in row and 'time' in row:
            times.append(row['time'])
    return value, statistics.median(times) if times else float('nan')


def table(runs: list[Path], metric: str) -> str:
    """A Markdown table with one row a method, the best last.

    Args:
        runs (list[Path]): Work dirs, named ``<method>-<seed>``.
        metric (str): Such as ``coco/bbox_mAP``.

    Returns:
        str: The table.

    Raises:
        UserError: If a run has no such metric.
    """
    values: dict[str, dict[str, float]] = defaultdict(dict)
    times: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        method, _, seed = run.name.rpartition('-')
        value, seconds = last_values(run, metric)
        if value is None:
            raise UserError(f'{run} holds no {metric}; is the run finished?')
        values[method][seed] = value
        times[method].append(seconds)
    rows = [
        f'| method | {metric}, by seed | mean | std | s/iter |',
        '|---|---|---|---|---|',
    ]
    for method in sorted(
        values, key=lambda m: statistics.mean(values[m].values())
    ):
        numbers = [values[method][seed] for seed in sorted(values[method])]
        std = statistics.stdev(numbers) if len(numbers) > 1 else float('nan')
        rows.append(
            f'| {method} | {", ".join(f"{n:.3f}" for n in numbers)} | '
            f'{statistics.mean(numbers):.3f} | {std:.3f} | '
            f'{statistics.mean(times[method]):.2f} |'
        )
    return '\n'.join(rows)


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        type=Path,
        metavar='WORK_DIR',
        help='work dirs named <method>-<seed>',
    )
    parser.add_argument(
        '--metric',
        default='coco/bbox_mAP',
        help='name in the log (default: %(default)s)',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    missing = [str(run) for run in args.runs if not run.is_dir()]
    if missing:
        raise UserError(f'no such work dir: {missing[0]}')
    print(table(args.runs, args.metric))
