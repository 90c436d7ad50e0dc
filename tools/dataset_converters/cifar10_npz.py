#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Unpack CIFAR-10 from NumPy archives of JPEG files into an image folder."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

from mmdiffkd.datasets.cifar_archive import unpack_cifar  # noqa: E402
from mmdiffkd.utils.cli import add_traceback, command_line  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source',
        help='folder with cifar10_train_jpeg.npz and cifar10_test_jpeg.npz',
    )
    parser.add_argument(
        'out',
        nargs='?',
        default='data/cifar10',
        help='folder to make; default: %(default)s, where the configs look',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder'
    )
    add_traceback(parser)
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
    counts = unpack_cifar(args.source, args.out, args.overwrite)
    print(
        f'wrote {args.out}: '
        + ', '.join(f'{n} {split} images' for split, n in counts.items())
    )


if __name__ == '__main__':
    main()
