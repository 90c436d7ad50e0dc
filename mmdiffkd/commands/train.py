# Copyright (c) mmdiffkd contributors.
"""Train a detector, segmentor or classifier, with or without distillation."""

import argparse

from mmdiffkd.engine import launch
from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.engine.hooks import DataCheckHook
from mmdiffkd.engine.reliable_hooks import make_reliable
from mmdiffkd.engine.student_optim_wrapper import show_student_to_constructor
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.loading import load_config


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help="folder for logs and checkpoints; default: the config's "
        'work_dir, or ./work_dirs/<config name>',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (GPU)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from auto_scale_lr.base_batch_size of '
        'the config to the actual total batch size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='auto|PATH',
        help='continue from a checkpoint; without a value, or with auto, '
        'from the latest in the work dir, or from the start if it has none',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='start anew in a work dir that holds checkpoints; those of the '
        'same name are replaced',
    )
    parser.add_argument('--seed', type=int, help='random seed')
    launch.add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    launch.set_local_rank(args.launcher, args.local_rank)
    cfg = load_config(args.config, args.cfg_options)
    checks.check_training(cfg, args.config)
    launch.set_work_dir(cfg, args.config, args.work_dir)
    checks.check_folder(cfg.work_dir, '--work-dir')
    launch.set_resume(cfg, launch.resume_of_restart(cfg.work_dir, args.resume))
    if args.amp:
        launch.set_amp(cfg)
    if args.auto_scale_lr:
        launch.set_auto_scale_lr(cfg)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    checks.check_settings(cfg)
    checks.check_wrapper(cfg)
    checks.check_load_from(cfg)
    checks.check_data(cfg, ('train', 'val'))
    if not args.overwrite:
        checks.check_work_dir(cfg)
    what = [show_student_to_constructor(cfg), make_reliable(cfg)]
    launch.init_processes(cfg, args.launcher, args.local_rank)
    runner = launch.build_runner(cfg)
    for line in filter(None, what):
        runner.logger.info(line)
    runner.register_hook(DataCheckHook())
    runner.train()
    del runner  # its model holds the process group
    launch.end_processes()
