# Copyright (c) mmdiffkd contributors.
"""Export the plain student of a distillation checkpoint.

The result opens in the stock library, without mmdiffkd:
``DetInferencer(weights='epoch_12_student.pth')``.
"""

import argparse

from mmdiffkd.utils.checkpoints.export import export_student
from mmdiffkd.utils.cli import add_traceback, command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoint', help='distillation checkpoint')
    parser.add_argument(
        'out',
        nargs='?',
        help='file or folder to write to; default: CHECKPOINT with _student '
        'before .pth',
    )
    ema = parser.add_mutually_exclusive_group()
    ema.add_argument(
        '--ema',
        dest='ema',
        action='store_true',
        default=None,
        help='insist on the averaged weights; without either option they are '
        'taken where the checkpoint has them',
    )
    ema.add_argument(
        '--no-ema',
        dest='ema',
        action='store_false',
        help='take the weights as trained, without averaging',
    )
    parser.add_argument(
        '--config',
        help='config file, distillation or plain student, to use instead of '
        'the one inside the checkpoint',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace an existing file'
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load arbitrary Python objects of the checkpoint, which can run '
        'any code: only for files of your own',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    result = export_student(
        args.checkpoint,
        args.out,
        args.ema,
        args.config,
        args.overwrite,
        args.trust_checkpoint,
    )
    kind = 'averaged (EMA) ' if result.averaged else ''
    print(f'wrote {result.num_tensors} {kind}student tensors to {result.path}')
    if result.needs:
        print(
            'note: the student itself is made of '
            + ', '.join(result.needs)
            + '; the file opens only where these are installed'
        )
