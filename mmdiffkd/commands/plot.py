# Copyright (c) mmdiffkd contributors.
"""Draw the curves of several runs: losses, gamma, loss_diff, a metric.

Runs of the same config, of other seeds, are one curve: the mean over the runs,
in a band of one standard deviation. Without --keys there are the first metric
of the validation, the task's own loss, the sum of all losses, and for a
distillation loss_kd, loss_diff and gamma_mean.
"""

import argparse

from mmdiffkd.utils.cli import (
    add_traceback,
    check_new_file,
    check_picture,
    command_line,
    writing,
)
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='work dir of a training; NAME=DIR puts it into the group NAME, '
        'in the place of the group of its config',
    )
    parser.add_argument(
        '-o',
        '--out',
        default='curves.png',
        metavar='FILE',
        help='picture to write, such as .png, .svg or .pdf; default: '
        '%(default)s',
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        metavar='KEY',
        help='what to draw: names as logged, or those of all levels '
        'together, such as loss_diff',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the picture'
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    check_new_file('--out', args.out, new=not args.overwrite)
    check_picture('--out', args.out)
    from mmdiffkd.visualization.run_curves import draw_runs
    from mmdiffkd.visualization.run_groups import choose_keys, read_groups

    groups = read_groups(args.runs)
    keys = choose_keys(groups, args.keys)
    if not keys:
        raise UserError('the runs have logged nothing to draw; name --keys')
    with writing('--out', args.out):
        draw_runs(groups, keys).savefig(args.out, dpi=130)
    for group in groups:
        count = len(group.runs)
        print(f'{group.name}: {count} {"run" if count == 1 else "runs"}')
        if mixed := group.mixed():
            print(
                f'  WARNING: their configs differ in {len(mixed)} keys, such '
                f'as {mixed[0]}: NAME=DIR puts a run into another group'
            )
    print(f'wrote {args.out}: {", ".join(keys)}')
