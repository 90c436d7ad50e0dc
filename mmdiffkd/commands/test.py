# Copyright (c) mmdiffkd contributors.
"""Evaluate the student of a checkpoint; a teacher is never built.

CONFIG and CHECKPOINT may each be a distillation one or a plain student's.
"""

import argparse

from mmdiffkd.engine import launch, process_group
from mmdiffkd.engine import student_testing as testing
from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.loading import load_config


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument(
        '--work-dir',
        help="folder for logs and metrics; default: the config's work_dir, "
        'or ./work_dirs/<config name>',
    )
    parser.add_argument('--out', help='write the predictions to this .pkl')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file of --out'
    )
    parser.add_argument(
        '--show-dir',
        help='draw the predictions into this folder, below the work dir: '
        'relative to the folder of this test, named by the time',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation by tta_model and tta_pipeline of the '
        'config',
    )
    launch.add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    process_group.set_local_rank(args.launcher, args.local_rank)
    testing.check_out(args.out, args.overwrite)
    cfg = load_config(args.config, args.cfg_options)
    launch.set_work_dir(cfg, args.config, args.work_dir)
    checks.check_folder(cfg.work_dir, '--work-dir')
    cfg = testing.testing_config(cfg, args.config, args.checkpoint)
    if args.show_dir:
        testing.set_show_dir(cfg, args.show_dir)
    if args.tta:
        testing.set_tta(cfg)
    checks.check_data(cfg, ('test',))
    process_group.init_processes(cfg, args.launcher, args.local_rank)
    runner = launch.build_runner(cfg)
    runner.register_hook(testing.StudentWeightsHook())
    testing.add_dump(runner, args.out)
    runner.test()
    del runner  # its model holds the process group
    process_group.end_processes()
