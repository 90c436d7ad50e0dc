#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Convert a CIFAR-100 model of the CRD / RepDistiller zoo.

The result is a checkpoint of MMPretrain's ImageClassifier with the backbone
that mmdiffkd/models/backbones/cifar_zoo.py names for the model.
"""

import argparse
import functools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

import mmdiffkd  # noqa: E402,F401
from mmdiffkd.models.backbones.cifar_zoo import CRD_ZOO, from_crd  # noqa: E402
from mmdiffkd.utils.checkpoints.conversion import convert_checkpoint  # noqa: E402
from mmdiffkd.utils.cli import add_traceback, command_line  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', help='its file, such as ckpt_epoch_240.pth')
    parser.add_argument('out', help='file to write')
    parser.add_argument(
        '--model',
        required=True,
        help='its name in the zoo: ' + ', '.join(CRD_ZOO),
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    add_traceback(parser)
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
    count = convert_checkpoint(
        args.source,
        args.out,
        'model',
        functools.partial(from_crd, name=args.model),
        args.overwrite,
    )
    print(f'wrote {count} tensors of {args.model} to {args.out}')


if __name__ == '__main__':
    main()
