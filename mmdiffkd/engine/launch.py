# Copyright (c) mmdiffkd contributors.
"""From the arguments of a run to its config, and from that to a runner."""

import argparse
import os
import os.path as osp
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend

from mmdiffkd.utils.cli import add_traceback
from mmdiffkd.utils.configs.loading import CfgOptions
from mmdiffkd.utils.distillation import unwrap
from mmdiffkd.utils.errors import UserError

from .latest_checkpoint import NOTE, latest_checkpoint


class _Trust(argparse.Action):
    """Let ``torch.load`` read objects, here and in the libraries."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(nargs=0, **kwargs)

    def __call__(self, *_: Any) -> None:
        # PyTorch asks for it at each call that does not say otherwise.
        os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = '1'


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of whatever reads a config and a checkpoint."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='override settings of the config, for example '
        'train_cfg.max_epochs=2 model.backbone.depth=18; lists as '
        'key="[a,b]" or key=a,b, without blanks',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action=_Trust,
        help='load files that hold more than plain values, which can run any '
        'code: for files of known origin',
    )
    add_traceback(parser)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher; the dist_*.sh and slurm_*.sh scripts set it',
    )
    add_reading_arguments(parser)
    # PyTorch 2 launchers write the second spelling.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )


def add_run_arguments(
    parser: argparse.ArgumentParser, work_dir: str, overwrite: str
) -> None:
    """Add the arguments of a run that trains, the common ones included.

    Args:
        parser (ArgumentParser): Parser.
        work_dir (str): Help on the default of ``--work-dir``.
        overwrite (str): Help on ``--overwrite``.
    """
    parser.add_argument(
        '--work-dir',
        help=f'folder for logs and checkpoints; default: {work_dir}',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='auto|PATH',
        help='continue from a checkpoint; without a value, or with auto, '
        'from the latest in the work dir, or from the start if it has none',
    )
    parser.add_argument('--overwrite', action='store_true', help=overwrite)
    parser.add_argument('--seed', type=int, help='random seed')
    add_common_arguments(parser)


def set_work_dir(cfg: Config, path: str | None, work_dir: str | None) -> None:
    """Command line before config before ``./work_dirs/<config name>``.

    Args:
        cfg (Config): Config, changed in place.
        path (str, optional): Its file; None if it was made in memory.
        work_dir (str, optional): Value of ``--work-dir``.

    Raises:
        UserError: If nothing says where.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        if path is None:
            raise UserError(
                'a config that was not read from a file names no folder for '
                'its logs and checkpoints: give work_dir, as an argument or '
                'in the config'
            )
        name = osp.splitext(osp.basename(path))[0]
        cfg.work_dir = osp.join('./work_dirs', name)


def set_amp(cfg: Config) -> None:
    """Switch the config to automatic mixed precision."""
    wrapper = cfg.get('optim_wrapper', {})
    kind = wrapper.get('type', 'OptimWrapper')
    if kind == 'AmpOptimWrapper':
        return
    if kind != 'OptimWrapper':
        raise UserError(
            '--amp needs optim_wrapper.type OptimWrapper, the '
            f'config has {kind}'
        )
    if get_device() == 'cpu':
        raise UserError('--amp needs a GPU, and none is visible')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def set_auto_scale_lr(cfg: Config) -> None:
    """Let MMEngine scale the learning rate with the total batch size."""
    if (cfg.get('auto_scale_lr') or {}).get('base_batch_size') is None:
        raise UserError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size '
            'in the config: the batch size its learning rate was '
            'chosen for'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str | None) -> None:
    """Continue an earlier run, if asked to.

    ``auto`` in a work dir without checkpoints begins a new run, which still
    starts from the config's ``load_from``.

    Args:
        cfg (Config): Config with its ``work_dir``, changed in place.
        resume (str, optional): Value of ``--resume``; None leaves the
            config's own ``resume`` as it is.
    """
    if resume is None:
        return
    if resume == 'auto':
        resume = latest_checkpoint(cfg.work_dir)
    elif osp.isdir(resume):
        raise UserError(
            f'--resume {resume} is a folder; name a checkpoint in it, or go '
            'on with the latest of --work-dir by --resume alone'
        )
    elif '://' not in resume and not osp.isfile(resume):
        raise UserError(f'--resume {resume}: there is no such file')
    cfg.resume = resume is not None
    if resume is not None:
        cfg.load_from = resume


def resume_of_restart(work_dir: str, resume: str | None) -> str | None:
    """Let a job that SLURM has requeued go on by itself.

    Args:
        work_dir (str): Work dir of the run.
        resume (str, optional): Value of ``--resume``.

    Returns:
        str | None: ``auto`` if this is a restart, and the run had written a
        checkpoint before; else ``resume``.
    """
    restarted = os.environ.get('SLURM_RESTART_COUNT', '0') not in ('', '0')
    noted = osp.isfile(osp.join(work_dir, NOTE))
    return 'auto' if restarted and noted else resume


def build_runner(cfg: Config) -> Runner:
    """Build MMEngine's runner, or the one that the config names.

    What the model has read from student and teacher is written into the
    runner's config, and so into its dumps and its checkpoints.

    Args:
        cfg (Config): Config, left as it is.

    Returns:
        Runner: Its model is built.
    """
    runner = (
        RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    )
    found = getattr(unwrap(runner.model), 'found_in_models', None)
    if found:
        runner.cfg.model.distiller.merge(ConfigDict(found))
        runner.dump_config()
        for backend in runner.visualizer._vis_backends.values():
            # Other services refuse to be told twice.
            if isinstance(backend, LocalVisBackend):
                backend.add_config(runner.cfg)
    return runner
