# Copyright (c) mmdiffkd contributors.
"""Train a config for many iterations: do memory, files and speed stay flat?

Prints a table over time, and exits with code 1 if memory or open files grew
after the first quarter, or iterations became slower. Run nothing beside it.
"""

import argparse
import sys
import tempfile

from mmdiffkd.engine import launch
from mmdiffkd.engine.analysis.soak import soak, soak_config
from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.engine.reliable_hooks import make_reliable
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
    launch.add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.iters < 40:
        raise UserError('--iters must be at least 40')
    cfg = load_config(args.config, args.cfg_options)
    checks.check_training(cfg, args.config)
    checks.check_data(cfg, ('train',))
    soak_config(cfg, args.iters)
    make_reliable(cfg)
    launch.init_processes(cfg, args.launcher, args.local_rank)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        report = soak(cfg)
    print(report)
    launch.end_processes()
    sys.exit(0 if report.flat and report.steady else 1)
