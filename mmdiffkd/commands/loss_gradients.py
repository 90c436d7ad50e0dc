# Copyright (c) mmdiffkd contributors.
"""Do the distillation losses pull the student where its task pulls it?

For a few batches, compares the gradients of all losses at the recorded student
features: their sizes, and the cosine of the angle to that of the task. Near 0,
a loss is noise to the task; below 0, it works against it. Nothing is trained.
"""

import argparse
import tempfile

from mmdiffkd.engine.analysis import without_validation
from mmdiffkd.engine.analysis.loss_gradients import (
    as_table,
    gradients_of_run,
)
from mmdiffkd.engine.checks.settings import check_training
from mmdiffkd.engine.launch import add_common_arguments
from mmdiffkd.engine.prepare import prepare
from mmdiffkd.engine.process_group import end_processes
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
    add_common_arguments(parser)
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    if args.batches < 1:
        raise UserError('--batches must be at least 1')
    cfg = load_config(args.config, args.cfg_options)
    check_training(cfg, args.config)
    if not has_student(cfg):
        raise UserError(
            f'{args.config} is no distillation: its model has no architecture'
        )
    if args.checkpoint is not None:
        cfg.load_from = args.checkpoint
    with tempfile.TemporaryDirectory() as folder:
        runner = prepare(
            without_validation(cfg),
            folder,
            launcher=args.launcher,
            local_rank=args.local_rank,
        )
        pulls = gradients_of_run(runner, args.batches)
    print(as_table(pulls))
    del runner  # its model holds the process group
    end_processes()
