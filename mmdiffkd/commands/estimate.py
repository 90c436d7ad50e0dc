# Copyright (c) mmdiffkd contributors.
"""Estimate what a training step will cost: memory, multiply-adds, parameters.

From the config alone, before a GPU is rented: nothing is downloaded, no
checkpoint is read, and at full size it takes a minute of one CPU core.
Cheaper settings are tried as well. docs/en/performance.md says what is counted
and what is not.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from mmdiffkd.engine.launch import CfgOptions
from mmdiffkd.utils.cli import add_traceback, command_line, quiet
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        nargs='+',
        help='config file of a distillation, or of a plain model',
    )
    parser.add_argument(
        '--batch-size', type=int, help="images a GPU; default: the config's"
    )
    parser.add_argument(
        '--input-size',
        type=int,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the images, in pixels; default: the largest of the '
        'training pipeline',
    )
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

    from mmdiffkd.engine.estimate.table import tables

    console = Console(highlight=False)
    results = {}
    for path in args.config:
        with quiet():
            results[path] = _estimate(path, args)
        console.print(path, style='bold')
        console.print(tables(results[path]))
        if args.readme:
            from mmdiffkd.engine.estimate.readme import add_row

            add_row(args.readme, path, results[path])
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + '\n')


def _estimate(path: str, args: argparse.Namespace) -> dict[str, Any]:
    from mmdiffkd.engine.estimate.costs import estimate
    from mmdiffkd.engine.estimate.inputs import batch_size, input_size
    from mmdiffkd.utils.configs.loading import load_config

    cfg = load_config(path, args.cfg_options)
    if not isinstance(cfg.get('model'), dict):
        raise UserError(f'config {path} defines no model')
    return estimate(
        cfg,
        args.batch_size or batch_size(cfg),
        tuple(args.input_size) if args.input_size else input_size(cfg),
        args.gpu_memory,
        settings=not args.no_settings,
    )


def _check(args: argparse.Namespace) -> None:
    """Refuse what would be found wrong after a minute."""
    if args.batch_size is not None and args.batch_size < 1:
        raise UserError(f'--batch-size must be at least 1: {args.batch_size}')
    if args.input_size and min(args.input_size) < 1:
        raise UserError(
            '--input-size must be a height and a width of at least 1 pixel, '
            f'got {args.input_size}'
        )
    if not 0 < args.gpu_memory < float('inf'):
        raise UserError(
            f'--gpu-memory must be a size in GiB above 0: {args.gpu_memory}'
        )
    if args.json:
        folder = os.path.dirname(args.json) or '.'
        if not os.path.isdir(folder) or os.path.isdir(args.json):
            raise UserError(
                f'--json {args.json}: it has to be a file in a folder that '
                'exists'
            )
        if os.path.exists(args.json) and not args.overwrite:
            raise UserError(
                f'--json {args.json} exists; replace it with --overwrite'
            )
    if args.readme and not os.path.isfile(args.readme):
        raise UserError(f'--readme {args.readme}: there is no such file')
