# Copyright (c) mmdiffkd contributors.
"""Unpack CIFAR-10 from NumPy archives of JPEG files into an image folder."""

import argparse

from mmdiffkd.datasets.cifar_archive import unpack_cifar
from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    counts = unpack_cifar(args.source, args.out, args.overwrite)
    print(
        f'wrote {args.out}: '
        + ', '.join(f'{n} {split} images' for split, n in counts.items())
    )
