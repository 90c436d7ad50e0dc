#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Train a detector, segmentor or classifier, with or without distillation."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

# Before any registry is used: it makes MMRazor importable.
import mmdiffkd  # noqa: E402,F401
from mmdiffkd.engine import launch  # noqa: E402
from mmdiffkd.engine.checks import settings as checks  # noqa: E402
from mmdiffkd.engine.hooks import DataCheckHook  # noqa: E402
from mmdiffkd.engine.reliable_hooks import make_reliable  # noqa: E402
from mmdiffkd.engine.student_optim_wrapper import show_student_to_constructor  # noqa: E402
from mmdiffkd.utils.cli import command_line  # noqa: E402
from mmdiffkd.utils.configs.loading import load_config  # noqa: E402


def parse_args() -> argparse.Namespace:
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
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
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


if __name__ == '__main__':
    main()
