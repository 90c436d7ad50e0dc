# Copyright (c) mmdiffkd contributors.
"""Convert a CIFAR-10 ResNet of akamaster/pytorch_resnet_cifar10.

The result is a checkpoint of MMPretrain's ImageClassifier with the backbone
mmdiffkd.CIFARResNet (shortcut='A'), as in configs/demo/cifar10_resnet56.py.
"""

import argparse

from mmdiffkd.models.backbones.cifar_zoo import from_akamaster
from mmdiffkd.utils.checkpoints.conversion import convert_checkpoint
from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', help='its file, such as resnet56-*.th')
    parser.add_argument('out', help='file to write')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    found = []

    def convert(state):
        converted, model = from_akamaster(state)
        found.append(model.backbone['depth'])
        return converted

    count = convert_checkpoint(
        args.source, args.out, 'state_dict', convert, args.overwrite
    )
    print(f'wrote {count} tensors of a ResNet-{found[0]} to {args.out}')
