# Copyright (c) mmdiffkd contributors.
"""Do the distillation losses pull the student where its task pulls it?

For a few batches, compares the gradients of all losses at the recorded student
features: their sizes, and the cosine of the angle to that of the task. Near 0,
a loss is noise to the task; below 0, it works against it. Nothing is trained.
"""

import argparse
import tempfile
from itertools import islice

from mmdiffkd.engine import launch
from mmdiffkd.engine.analysis.loss_gradients import as_table, loss_gradients
from mmdiffkd.engine.checks import settings as checks
from mmdiffkd.utils.cli import command_line
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.distillation import has_student
from mmdiffkd.utils.errors import UserError


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file of a distillation')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='distillation checkpoint; default: as training starts',
    )
    parser.add_argument(
        '--batches', type=int, default=4, help='how many (default: 4)'
    )
    launch.add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.batches < 1:
        raise UserError('--batches must be at least 1')
    cfg = load_config(args.config, args.cfg_options)
    checks.check_training(cfg, args.config)
    if not has_student(cfg):
        raise UserError(
            f'{args.config} is no distillation: its model has no architecture'
        )
    checks.check_data(cfg, ('train',))
    if args.checkpoint is not None:
        cfg.load_from = args.checkpoint
        checks.check_load_from(cfg)
    launch.init_processes(cfg, args.launcher, args.local_rank)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = launch.build_runner(cfg)
        loader = runner.build_dataloader(
            cfg.train_dataloader, seed=runner.seed
        )
        runner._init_model_weights()
        runner.load_or_resume()
        pulls = loss_gradients(
            runner.model.train(), islice(loader, args.batches)
        )
    print(as_table(pulls))
    del runner  # its model holds the process group
    launch.end_processes()
