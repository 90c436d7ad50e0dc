# Copyright (c) mmdiffkd contributors.
"""Measure what a training step costs: time, memory, multiply-adds.

The step of a distillation is taken beside that of its student alone, its floor
(the student's step, and the teacher's forward pass up to the last record), and
those of other configs, in one process and in interleaved rounds. Weights,
images and labels are random; nothing is downloaded.
"""

import argparse
import os

from mmdiffkd.utils.cli import (
    add_batch,
    add_traceback,
    check_batch,
    check_new_file,
    check_picture,
    command_line,
    quiet,
    write_numbers,
    writing,
)
from mmdiffkd.utils.configs.loading import CfgOptions
from mmdiffkd.utils.errors import UserError


class _Columns(CfgOptions):
    """Settings of one column more, each time."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, {})
        super().__call__(parser, namespace, values, option_string)
        both = [*before, getattr(namespace, self.dest)]
        setattr(namespace, self.dest, both)


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        help='config of a distillation: a file, or mmrazor::... and the like',
    )
    parser.add_argument(
        '--against',
        nargs='+',
        default=[],
        metavar='CONFIG',
        help="further configs for the same task, of MMRazor's own algorithms "
        'or of plain models, too',
    )
    parser.add_argument(
        '--against-options',
        nargs='+',
        action=_Columns,
        default=[],
        metavar='KEY=VALUE',
        help='this config once more, with these settings, for example '
        'model.teacher_dtype=bfloat16; may be given several times',
    )
    parser.add_argument(
        '--device', help='cpu, cuda, cuda:1, ...; default: the GPU if any'
    )
    add_batch(parser)
    parser.add_argument(
        '--amp',
        nargs='?',
        const='float16',
        choices=['float16', 'bfloat16'],
        help='mixed precision, on a GPU; without a value, float16',
    )
    parser.add_argument(
        '--steps',
        type=int,
        default=20,
        help='rounds that are timed; default: %(default)s',
    )
    parser.add_argument('--json', help='write all numbers to this file')
    parser.add_argument('--plot', help='draw bars into this file')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace those files'
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    _check(args)
    # Of the profiler: that a machine without a GPU has none.
    os.environ.setdefault('KINETO_LOG_LEVEL', '5')
    from mmengine.device import get_device
    from rich.console import Console
    from rich.progress import track

    from mmdiffkd.engine.benchmark.measure import Settings, measure
    from mmdiffkd.engine.benchmark.report import as_text

    beside = Console(stderr=True, highlight=False)
    with quiet():
        result = measure(
            args.config,
            args.against,
            Settings(
                device=args.device or get_device(),
                steps=args.steps,
                batch_size=args.batch_size,
                size=args.input_size and tuple(args.input_size),
                amp=args.amp,
            ),
            args.against_options,
            say=beside.print,
            progress=lambda rounds: track(rounds, 'rounds', console=beside),
        )
    # First, since a disk may be full.
    print(as_text(result))
    if args.json:
        write_numbers('--json', args.json, result)
    if args.plot:
        from mmdiffkd.engine.benchmark.chart import draw

        with writing('--plot', args.plot):
            draw(result).savefig(args.plot, dpi=130)


def _check(args: argparse.Namespace) -> None:
    """Refuse what would be found wrong after minutes."""
    check_batch(args)
    if args.steps < 1:
        raise UserError(f'--steps must be at least 1, got {args.steps}')
    for option, path in (('--json', args.json), ('--plot', args.plot)):
        if path is not None:
            check_new_file(option, path, new=not args.overwrite)
    if args.plot:
        check_picture('--plot', args.plot)
        if args.json and os.path.realpath(args.json) == os.path.realpath(
            args.plot
        ):
            raise UserError('--json and --plot name the same file')
