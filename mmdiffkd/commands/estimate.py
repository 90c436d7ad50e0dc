# Copyright (c) mmdiffkd contributors.
"""Estimate what a training step will cost: memory, multiply-adds, parameters.

From the config alone, before a GPU is rented: nothing is downloaded, no
checkpoint is read, and at full size it takes a minute of one CPU core.
Cheaper settings are tried as well. docs/en/performance.md says what is counted
and what is not.
"""

import argparse
from typing import Any

from mmdiffkd.utils.cli import (
    add_batch,
    add_traceback,
    check_batch,
    check_new_file,
    command_line,
    quiet,
    write_numbers,
)
from mmdiffkd.utils.configs.loading import CfgOptions
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        nargs='+',
        help='config of a distillation or of a plain model: a file, or '
        'mmdet::... and the like',
    )
    add_batch(parser)
    parser.add_argument(
        '--gpu-memory',
        type=float,
        default=24,
        metavar='GIB',
        help='of one GPU, for the largest batch; default: %(default)s',
    )
    parser.add_argument(
        '--no-settings',
        action='store_true',
        help='leave out the cheaper settings, and the student alone',
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write all numbers to this file'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace that file'
    )
    parser.add_argument(
        '--readme',
        metavar='FILE',
        help='a Markdown file with a table of costs that an earlier run has '
        'made; the rows of these configs are replaced, or added',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='override settings of the config, for example '
        'model.distiller.pairs.kd.connector.with_cp=True',
    )
    add_traceback(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    _check(args)
    from rich.console import Console

    from mmdiffkd.engine.estimate import estimate
    from mmdiffkd.engine.estimate.readme import add_row, check_table
    from mmdiffkd.engine.estimate.table import tables

    if args.readme:
        check_table(args.readme)
    console = Console(highlight=False)
    configs = {path: _read(path, args) for path in args.config}
    results = {}
    for path, (cfg, count, size) in configs.items():
        with quiet():
            results[path] = estimate(
                cfg,
                count,
                size,
                args.gpu_memory,
                settings=not args.no_settings,
            )
        console.print(path, style='bold')
        console.print(tables(results[path]))
        if args.readme:
            add_row(args.readme, path, results[path])
        if args.json:  # another config may fail
            write_numbers('--json', args.json, results)


def _read(path: str, args: argparse.Namespace) -> tuple[Any, int, Any]:
    """Config, number of images and their size."""
    from mmdiffkd.engine.named_config import read
    from mmdiffkd.engine.training_input import batch_size, input_size
    from mmdiffkd.utils.distillation import has_student

    cfg = read(path, args.cfg_options)
    if args.readme and not has_student(cfg):
        raise UserError(f'--readme: {path} is no distillation')
    count = args.batch_size or batch_size(cfg)
    return cfg, count, tuple(args.input_size or input_size(cfg))


def _check(args: argparse.Namespace) -> None:
    """Refuse what would be found wrong after a minute."""
    check_batch(args)
    if not 0 < args.gpu_memory < float('inf'):
        raise UserError(
            f'--gpu-memory must be a size in GiB above 0: {args.gpu_memory}'
        )
    if args.json:
        check_new_file('--json', args.json, new=not args.overwrite)
