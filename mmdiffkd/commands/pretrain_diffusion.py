# Copyright (c) mmdiffkd contributors.
"""Train the diffusion models of a teacher, once for all of its students.

Takes the config of a distillation and trains what its connectors know of the
teacher alone: denoiser, autoencoder and scale. No student is run, and nothing
goes backward through the teacher. The file is named by the connectors' key
diffusion_ckpt, which this command itself does not read.
"""

import argparse
import os.path as osp

from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.engine.diffusion_pretraining import (
    check_length,
    pretraining_config,
    save_diffusion,
)
from mmdiffkd.engine.launch import add_run_arguments
from mmdiffkd.engine.prepare import prepare
from mmdiffkd.engine.process_group import end_processes, set_local_rank
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
    add_run_arguments(
        parser,
        work_dir='./work_dirs/<config name>_diffusion',
        overwrite='replace the file, and checkpoints in the work dir',
    )
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    set_local_rank(args.launcher, args.local_rank)
    whole = load_config(args.config, args.cfg_options)
    # The labels, which belong to the student, are looked at here alone.
    checks.check_training(whole, args.config)
    checks.check_data(whole, ('train',))
    cfg = pretraining_config(whole, args.iters, args.lr)
    name = osp.splitext(osp.basename(args.config))[0]
    work_dir = args.work_dir or osp.join('work_dirs', f'{name}_diffusion')
    out = args.out or osp.join(work_dir, 'diffusion.pth')
    if osp.isdir(out):
        raise UserError(f'--out {out} is a folder; name a file in it')
    if osp.exists(out) and not args.overwrite:
        raise UserError(f'{out} exists; replace it with --overwrite')
    if args.out:
        checks.check_folder(
            osp.dirname(osp.abspath(out)), f'--out {out}: its folder'
        )
    runner = prepare(
        cfg,
        work_dir,
        seed=args.seed,
        resume=args.resume,
        overwrite=args.overwrite,
        launcher=args.launcher,
        local_rank=args.local_rank,
    )
    if runner._resume:
        check_length(runner._load_from, args.iters)
    runner.train()
    losses = save_diffusion(runner, out, config=osp.basename(args.config))
    del runner  # its model holds the process group
    end_processes()
    print(
        f'wrote {out}; loss_diff of the last iterations, 1 is no prediction:'
    )
    for connector, loss in losses.items():
        print(f'  {connector}: {loss:.3f}')
