# Copyright (c) mmdiffkd contributors.
"""Train a detector, segmentor or classifier, with or without distillation."""

import argparse

from mmdiffkd.engine.launch import add_run_arguments
from mmdiffkd.engine.prepare import prepare
from mmdiffkd.engine.process_group import end_processes
from mmdiffkd.utils.cli import command_line


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (GPU)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from auto_scale_lr.base_batch_size of '
        'the config to the actual total batch size',
    )
    add_run_arguments(
        parser,
        work_dir="the config's work_dir, or ./work_dirs/<config name>",
        overwrite='start anew in a work dir that holds checkpoints; those of '
        'the same name are replaced',
    )
    return parser.parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> None:
    args = parse_args(arguments)
    runner = prepare(
        args.config,
        args.work_dir,
        seed=args.seed,
        resume=args.resume,
        overwrite=args.overwrite,
        cfg_options=args.cfg_options,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        launcher=args.launcher,
        local_rank=args.local_rank,
    )
    runner.train()
    del runner  # its model holds the process group
    end_processes()
