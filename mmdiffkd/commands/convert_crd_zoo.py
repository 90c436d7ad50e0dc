# Copyright (c) mmdiffkd contributors.
"""Convert a CIFAR-100 model of the CRD / RepDistiller zoo.

The result is a checkpoint of MMPretrain's ImageClassifier with the backbone
that mmdiffkd/models/backbones/cifar_zoo.py names for the model.
"""

import argparse
import functools

from mmdiffkd.models.backbones.cifar_zoo import CRD_ZOO, from_crd
from mmdiffkd.utils.checkpoints.conversion import convert_checkpoint
from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    count = convert_checkpoint(
        args.source,
        args.out,
        'model',
        functools.partial(from_crd, name=args.model),
        args.overwrite,
    )
    print(f'wrote {count} tensors of {args.model} to {args.out}')
