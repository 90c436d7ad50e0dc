#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Evaluate the student of a checkpoint; a teacher is never built.

CONFIG and CHECKPOINT may each be a distillation one or a plain student's.
"""

import argparse
import os.path as osp
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmdiffkd' / '__init__.py').is_file():  # a plain checkout
    sys.path.insert(0, str(ROOT))

# Before any registry is used: it makes MMRazor importable.
import mmdiffkd  # noqa: E402,F401
from mmdiffkd.engine import launch  # noqa: E402
from mmdiffkd.engine import student_testing as testing  # noqa: E402
from mmdiffkd.engine.checks import settings as checks  # noqa: E402
from mmdiffkd.utils.cli import command_line  # noqa: E402
from mmdiffkd.utils.configs.loading import load_config  # noqa: E402


def parse_args() -> argparse.Namespace:
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
        help='draw the predictions into this folder, below the work dir',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test-time augmentation by tta_model and tta_pipeline of the '
        'config',
    )
    launch.add_common_arguments(parser)
    return parser.parse_args()


@command_line
def main() -> None:
    args = parse_args()
    launch.set_local_rank(args.launcher, args.local_rank)
    testing.check_out(args.out, args.overwrite)
    cfg = load_config(args.config, args.cfg_options)
    launch.set_work_dir(cfg, args.config, args.work_dir)
    checks.check_folder(cfg.work_dir, '--work-dir')
    cfg = testing.testing_config(cfg, args.config, args.checkpoint)
    if args.show_dir:
        checks.check_folder(
            osp.join(cfg.work_dir, args.show_dir), '--show-dir'
        )
        testing.set_show_dir(cfg, args.show_dir)
    if args.tta:
        testing.set_tta(cfg)
    checks.check_data(cfg, ('test',))
    launch.init_processes(cfg, args.launcher, args.local_rank)
    runner = launch.build_runner(cfg)
    runner.register_hook(testing.StudentWeightsHook())
    testing.add_dump(runner, args.out)
    runner.test()
    del runner  # its model holds the process group
    launch.end_processes()


if __name__ == '__main__':
    main()
