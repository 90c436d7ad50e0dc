#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Convert a CIFAR-10 ResNet of akamaster/pytorch_resnet_cifar10.

The result is a checkpoint of MMPretrain's ImageClassifier with the backbone
mmdiffkd.CIFARResNet (shortcut='A'), as in configs/demo/cifar10_resnet56.py.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

import mmdiffkd  # noqa: E402,F401
from mmdiffkd.models.backbones.cifar_zoo import from_akamaster  # noqa: E402
from mmdiffkd.utils.checkpoints.conversion import convert_checkpoint  # noqa: E402
from mmdiffkd.utils.cli import add_traceback, command_line  # noqa: E402


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', help='its file, such as resnet56-*.th')
    parser.add_argument('out', help='file to write')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    add_traceback(parser)
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
    found = []

    def convert(state):
        converted, model = from_akamaster(state)
        found.append(model.backbone['depth'])
        return converted

    count = convert_checkpoint(
        args.source, args.out, 'state_dict', convert, args.overwrite
    )
    print(f'wrote {count} tensors of a ResNet-{found[0]} to {args.out}')


if __name__ == '__main__':
    main()
