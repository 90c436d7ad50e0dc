#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Draw report.png of a quickstart run and print what was measured."""
import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

from rich import box  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from mmdiffkd.utils.cli import command_line  # noqa: E402
from mmdiffkd.visualization import Report, read_measured  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        'work_dir',
        type=Path,
        help='holds teacher, student and diffkd (training runs) and '
        'test/teacher, test/student and test/diffkd (test runs)')
    parser.add_argument(
        '--data',
        type=Path,
        default='data/demo/det',
        help='COCO-format set with a test split')
    parser.add_argument(
        '--images', type=int, default=6, help='test images to show')
    parser.add_argument(
        '--score',
        type=float,
        default=0.3,
        help='least score of the detections shown')
    return parser.parse_args()


def print_table(models: dict) -> None:
    """Print one row for each model."""
    table = Table(box=box.SIMPLE_HEAD, title='Measured on the test images')
    table.add_column('model')
    for column in ('AP', 'AP50', 'AP75', 'iterations', 's/iteration'):
        table.add_column(column, justify='right')
    for name, model in models.items():
        aps = [
            f'{100 * model.metrics[f"coco/bbox_{kind}"]:.1f}'
            for kind in ('mAP', 'mAP_50', 'mAP_75')
        ]
        table.add_row(name, *aps, str(model.iterations),
                      f'{model.seconds_per_iteration:.3f}')
    # A fixed width, so that a log file shows whole columns as well.
    Console(width=79, highlight=False).print(table)


@command_line
def main() -> None:
    args = parse_args()
    measured = [
        read_measured(args.work_dir / name, args.work_dir / 'test' / name,
                      args.score) for name in ('teacher', 'student', 'diffkd')
    ]
    report = Report(*measured,
                    args.data / 'annotations' / 'instances_test.json',
                    args.data / 'test')
    gain = 100 * (
        measured[2].metrics['coco/bbox_mAP'] -
        measured[1].metrics['coco/bbox_mAP'])
    report.draw(
        args.work_dir / 'report.png',
        title='DiffKD quickstart',
        note=f'The same student trained twice for {measured[1].iterations} '
        'iterations from one seed: alone, and distilled with DiffKD '
        f'({gain:+.1f} AP). Detections are shown from a score of '
        f'{args.score:.0%} on.',
        count=args.images)
    numbers = {
        name: model.summary()
        for name, model in report.models.items()
    }
    (args.work_dir / 'report.json').write_text(
        json.dumps(numbers, indent=2) + '\n')
    print_table(report.models)


if __name__ == '__main__':
    main()
