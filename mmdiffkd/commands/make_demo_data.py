# Copyright (c) mmdiffkd contributors.
"""Make the embedded demo data from scikit-learn's handwritten digits."""

import argparse
from dataclasses import replace

from mmdiffkd.datasets import (
    SCENES,
    STYLES,
    WRITERS,
    SceneStyle,
    make_demo_set,
    read_manifest,
)
from mmdiffkd.utils.cli import add_traceback, command_line
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Make the embedded demo data: scenes of handwritten '
        'digits on clutter, from the set that scikit-learn ships. Needs no '
        'network. Equal options give equal files, byte for byte.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        '--task',
        choices=sorted(WRITERS),
        default='det',
        help='kind of set; det: COCO format, read by mmdet.CocoDataset; seg: '
        'Cityscapes format, read by mmseg.BaseSegDataset; cls: one folder a '
        'class, read by mmpretrain.ImageNet',
    )
    parser.add_argument(
        '--out',
        default='data/demo',
        help='folder of the demo sets; the set is made in OUT/TASK',
    )
    parser.add_argument(
        '--scenes',
        nargs=3,
        type=_positive,
        metavar=('TRAIN', 'VAL', 'TEST'),
        default=list(SCENES.values()),
        help='number of scenes of each split',
    )
    parser.add_argument(
        '--size',
        type=_positive,
        help='side of the square scenes, in pixels; without it, what suits '
        'the task: '
        + ', '.join(
            f'{task} {style.height}' for task, style in STYLES.items()
        ),
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of scenes and splits'
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace an earlier demo set that differs or is damaged',
    )
    add_traceback(parser)
    args = parser.parse_args(arguments)
    largest = SceneStyle.sizes[1]
    if args.size is not None and args.size < largest:
        parser.error(
            f'--size must be at least {largest}, the size of the '
            'largest digits'
        )
    if args.seed < 0:
        parser.error('--seed must not be negative')
    return args


def _positive(text: str) -> int:
    """Convert an argument to a positive number."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return int(text)


@command_line
def main(arguments: list[str] | None = None) -> None:
    """Make the set and say what there is."""
    args = parse_args(arguments)
    style = STYLES[args.task]
    if args.size is not None:
        style = replace(style, height=args.size, width=args.size)
    try:
        root, made = make_demo_set(
            args.out,
            task=args.task,
            scenes=dict(zip(SCENES, args.scenes)),
            seed=args.seed,
            style=style,
            overwrite=args.overwrite,
        )
    except MemoryError as error:
        raise UserError(
            'the machine has not enough memory for a scene of '
            f'{style.height} x {style.width} pixels: lower --size'
        ) from error
    print(f'{"Made" if made else "Found, unchanged"}: {root}')
    for split, size in read_manifest(root)['sizes'].items():
        print(
            f'  {split:5s} '
            + ', '.join(f'{count} {what}' for what, count in size.items())
        )
