# Copyright (c) mmdiffkd contributors.
"""Train the diffusion models of a teacher, once for all of its students.

Takes the config of a distillation and trains what its connectors know of the
teacher alone: denoiser, autoencoder and scale. No student is run, and nothing
goes backward through the teacher. The file is named by the connectors' key
diffusion_ckpt, which this command itself does not read.
"""

import argparse
import os.path as osp

from mmdiffkd.engine import launch
from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.engine.diffusion_pretraining import (
    pretraining_config,
    save_diffusion,
)
from mmdiffkd.engine.hooks import DataCheckHook
from mmdiffkd.engine.process_group import (
    end_processes,
    init_processes,
    set_local_rank,
)
from mmdiffkd.engine.reliable_hooks import make_reliable
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file of a distillation')
    parser.add_argument(
        '--out',
        help='file to write; default: diffusion.pth in the work dir',
    )
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints; default: '
        './work_dirs/<config name>_diffusion',
    )
    parser.add_argument(
        '--iters',
        type=int,
        default=2000,
        help='iterations; default: %(default)s',
    )
    parser.add_argument(
        '--lr',
        type=float,
        default=1e-3,
        help="AdamW's learning rate; default: %(default)s",
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
        help='replace the file, and checkpoints in the work dir',
    )
    parser.add_argument('--seed', type=int, help='random seed')
    launch.add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    set_local_rank(args.launcher, args.local_rank)
    whole = load_config(args.config, args.cfg_options)
    checks.check_training(whole, args.config)
    checks.check_data(whole, ('train',))
    cfg = pretraining_config(whole, args.iters, args.lr)
    name = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or osp.join('work_dirs', f'{name}_diffusion')
    checks.check_folder(cfg.work_dir, '--work-dir')
    out = args.out or osp.join(cfg.work_dir, 'diffusion.pth')
    if osp.exists(out) and not args.overwrite:
        raise UserError(f'{out} exists; replace it with --overwrite')
    launch.set_resume(cfg, launch.resume_of_restart(cfg.work_dir, args.resume))
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if not args.overwrite:
        checks.check_work_dir(cfg)
    make_reliable(cfg)
    init_processes(cfg, args.launcher, args.local_rank)
    runner = launch.build_runner(cfg)
    runner.register_hook(DataCheckHook())
    runner.train()
    losses = save_diffusion(runner, out, config=osp.basename(args.config))
    del runner  # its model holds the process group
    end_processes()
    print(
        f'wrote {out}; loss_diff of the last iterations, 1 is no prediction:'
    )
    for connector, loss in losses.items():
        print(f'  {connector}: {loss:.3f}')
