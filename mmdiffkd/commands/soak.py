# Copyright (c) mmdiffkd contributors.
"""Train a config for many iterations: do memory, files and speed stay flat?

Prints a table over time, and exits with code 1 if memory or open files grew
after the first quarter, or iterations became slower. Run nothing beside it.
"""

import argparse
import sys
import tempfile

from mmdiffkd.engine.analysis.soak import soak, soak_config
from mmdiffkd.engine.checks.settings import check_training
from mmdiffkd.engine.launch import add_common_arguments
from mmdiffkd.engine.prepare import prepare
from mmdiffkd.engine.process_group import end_processes
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--iters', type=int, default=2000, help='iterations (default: 2000)'
    )
    add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.iters < 40:
        raise UserError('--iters must be at least 40')
    cfg = load_config(args.config, args.cfg_options)
    check_training(cfg, args.config)
    soak_config(cfg, args.iters)
    with tempfile.TemporaryDirectory() as folder:
        runner = prepare(
            cfg, folder, launcher=args.launcher, local_rank=args.local_rank
        )
        report = soak(runner)
    del runner  # its model holds the process group
    print(report)
    end_processes()
    sys.exit(0 if report.flat and report.steady else 1)
