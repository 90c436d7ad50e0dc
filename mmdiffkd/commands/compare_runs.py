# Copyright (c) mmdiffkd contributors.
"""Compare finished runs over their seeds: mean and deviation as a table.

Runs are work dirs named <method>-<seed>. The last validation of each counts.
"""

import argparse
import json
import os
import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmdiffkd.engine.study.logs import BESIDE
from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.utils.errors import UserError, closest

NAME = re.compile(r'(.+)-(\d+)', re.ASCII)
"""Method and seed in the name of a work dir."""

USUAL = 'coco/bbox_mAP'
"""What detectors are compared by, where their validation has it."""


class Run(NamedTuple):
    """What counts of a run.

    Attributes:
        folder (Path): Its work dir.
        values (dict[str, float]): The last value of each name in its log.
        metrics (list[str]): Names that its validation has logged.
        seconds (float): Median time of an iteration; NaN without any.
    """

    folder: Path
    values: dict[str, float]
    metrics: list[str]
    seconds: float


def read_last(folder: Path) -> Run:
    """Last values of the metrics and median seconds per iteration of a run.

    Args:
        folder (Path): Work dir of MMEngine.

    Returns:
        Run: Without metrics if it was never validated.

    Raises:
        UserError: If the log cannot be read.
    """
    values, metrics, times = {}, {}, []
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    # Each start of a run has a file of its own; the newest counts.
    for line in files[-1].read_bytes().splitlines() if files else ():
        try:
            row = dict(json.loads(line))
        except (TypeError, ValueError) as error:
            # A killed run leaves half of its last line.
            raise UserError(
                f'{files[-1]} is cut or no log of MMEngine: {error}'
            ) from error
        row = {k: v for k, v in row.items() if isinstance(v, (int, float))}
        values.update(row)
        if 'loss' in row and 'time' in row:
            times.append(row['time'])
        elif not row.keys() & {'iter', 'loss', 'lr'}:  # of training
            metrics.update(row)
    return Run(
        folder,
        values,
        [name for name in metrics if name not in BESIDE],
        statistics.median(times) if times else float('nan'),
    )


def by_method(folders: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Sort work dirs by method and seed.

    Args:
        folders (Sequence[Path]): Work dirs, named ``<method>-<seed>``.

    Returns:
        dict[str, dict[int, Path]]: The folder of each seed of each method.

    Raises:
        UserError: If a folder does not exist, is named twice or has another
            name, or if two are the same seed of one method.
    """
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f'no such work dir: {folder}')
        if folder.resolve() in seen:
            raise UserError(f'work dir {folder} is named twice; name it once')
        seen.add(folder.resolve())
        match = NAME.fullmatch(os.path.basename(os.path.abspath(folder)))
        if match is None:
            raise UserError(
                f'the name of work dir {folder} is not <method>-<seed>, such '
                'as diffkd-0, so it is not known which runs belong together: '
                'rename it, or name a link to it'
            )
        seeds, seed = found[match[1]], int(match[2])
        if seed in seeds:
            raise UserError(
                f'{seeds[seed]} and {folder} are both seed {seed} of method '
                f'{match[1]}: leave one out, or rename it if it is another '
                'method'
            )
        seeds[seed] = folder
    return found


def choose_metric(runs: Sequence[Run], asked: str | None = None) -> str:
    """A metric that all runs have.

    Args:
        runs (Sequence[Run]): At least one.
        asked (str, optional): Its name in the log. Defaults to None:
            :data:`USUAL`, or else the first that the first run has logged.

    Raises:
        UserError: If a run lacks it; the message has those that it has.
    """
    metric = asked or USUAL
    if asked is None and USUAL not in runs[0].metrics:
        metric = next(iter(runs[0].metrics), USUAL)
    for run in runs:
        if metric in run.values:
            continue
        if not run.metrics:
            raise UserError(
                f'{run.folder} has logged no validation; is the run finished?'
            )
        raise UserError(
            f'{run.folder} has logged no {metric}'
            f'{closest(metric, run.metrics)}. Its validation has '
            f'{", ".join(run.metrics)}: choose what all runs have by --metric'
        )
    return metric


def table(folders: Sequence[Path], metric: str | None = None) -> str:
    """A Markdown table with one row a method, the best last.

    Args:
        folders (Sequence[Path]): Work dirs, named ``<method>-<seed>``.
        metric (str, optional): See :func:`choose_metric`.

    Returns:
        str: The table.

    Raises:
        UserError: If the runs cannot be compared.
    """
    methods = {
        method: [read_last(seeds[seed]) for seed in sorted(seeds)]
        for method, seeds in by_method(folders).items()
    }
    metric = choose_metric(
        [run for runs in methods.values() for run in runs], metric
    )
    rows = [
        f'| method | {metric}, by seed | mean | std | s/iter |',
        '|---|---|---|---|---|',
    ]
    values = {
        method: [run.values[metric] for run in runs]
        for method, runs in methods.items()
    }
    for method in sorted(values, key=lambda m: statistics.mean(values[m])):
        numbers = values[method]
        std = statistics.stdev(numbers) if len(numbers) > 1 else float('nan')
        seconds = statistics.mean(run.seconds for run in methods[method])
        rows.append(
            f'| {method} | {", ".join(f"{n:.3f}" for n in numbers)} | '
            f'{statistics.mean(numbers):.3f} | {std:.3f} | {seconds:.2f} |'
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
        help=f'name in the log; default: {USUAL}, or else the first of the '
        "first run's validation",
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    print(table(args.runs, args.metric))
