# Copyright (c) mmdiffkd contributors.
"""From command-line arguments to a runner that is ready to go."""

import argparse
import gc
import os
import os.path as osp
import subprocess
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend

from mmdiffkd.utils.cli import add_traceback
from mmdiffkd.utils.configs.loading import CfgOptions
from mmdiffkd.utils.errors import UserError

from .latest_checkpoint import NOTE, latest_checkpoint
from .norms import replace_sync_bn


class _Trust(argparse.Action):
    """Let ``torch.load`` read objects, here and in the libraries."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(nargs=0, **kwargs)

    def __call__(self, *_: Any) -> None:
        # PyTorch asks for it at each call that does not say otherwise.
        os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = '1'


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
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
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher; the dist_*.sh and slurm_*.sh scripts set it',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action=_Trust,
        help='load files that hold more than plain values, which can run any '
        'code: for files of known origin',
    )
    add_traceback(parser)
    # PyTorch 2 launchers write the second spelling.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )


def set_work_dir(cfg: Config, path: str, work_dir: str | None) -> None:
    """Command line before config before ``./work_dirs/<config name>``.

    Args:
        cfg (Config): Config, changed in place.
        path (str): Its file.
        work_dir (str, optional): Value of ``--work-dir``.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
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


def set_local_rank(launcher: str, local_rank: int = 0) -> None:
    """Bring the number of this process into the environment.

    Whatever logs reads it there, so it comes first of all.

    Args:
        launcher (str): Value of ``--launcher``.
        local_rank (int): From old launchers, which pass it as an argument.
            Defaults to 0.

    Raises:
        UserError: If it is no number.
    """
    if launcher == 'mpi' and 'OMPI_COMM_WORLD_LOCAL_RANK' in os.environ:
        # MMEngine takes the GPU from the one, and DDP's from the other.
        os.environ['LOCAL_RANK'] = os.environ['OMPI_COMM_WORLD_LOCAL_RANK']
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if not os.environ['LOCAL_RANK'].isdigit():
        raise UserError(
            'the environment variable LOCAL_RANK must be a '
            f'number, and is {os.environ["LOCAL_RANK"]!r}'
        )


def init_processes(cfg: Config, launcher: str, local_rank: int = 0) -> None:
    """Prepare a run of several processes.

    With GPUs this is left to MMEngine, whose code assumes CUDA; without,
    the processes are connected by gloo here.

    Args:
        cfg (Config): Config, changed in place.
        launcher (str): Value of ``--launcher``.
        local_rank (int): From old launchers, which pass it as an argument.
            Defaults to 0.
    """
    cfg.launcher = launcher
    set_local_rank(launcher, local_rank)
    if launcher == 'none':
        return
    _check_environment(launcher)
    if get_device() != 'cpu':
        return
    if launcher == 'mpi':
        raise UserError(
            '--launcher mpi needs GPUs, and none is visible; '
            'use tools/dist_train.sh'
        )
    if launcher == 'slurm':
        _environment_from_slurm()
    torch.distributed.init_process_group('gloo')
    replace_sync_bn(cfg)
    wrapper = cfg.get('model_wrapper_cfg') or {}
    cfg.model_wrapper_cfg = dict(
        dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
            # MMEngine would name a GPU here.
            device_ids=None,
        ),
        **wrapper,
    )


def _check_environment(launcher: str) -> None:
    """Check that the named launcher really started this process."""
    needed, script = {
        'pytorch': ('RANK', 'tools/dist_train.sh CONFIG GPUS'),
        'slurm': ('SLURM_PROCID', 'tools/slurm_train.sh'),
        'mpi': ('OMPI_COMM_WORLD_LOCAL_RANK', 'mpirun'),
    }[launcher]
    if needed not in os.environ:
        raise UserError(
            f'--launcher {launcher}: this process was not started '
            f'by it (no {needed} in the environment); start it '
            f'through {script}, or leave --launcher out'
        )
    numbers = dict(
        pytorch=('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'),
        slurm=('SLURM_PROCID', 'SLURM_NTASKS'),
        mpi=(),
    )[launcher]
    for name in numbers:
        # PyTorch has other ways to agree on a port.
        if not os.environ.get(
            name, '0' if name == 'MASTER_PORT' else ''
        ).isdigit():
            raise UserError(
                f'--launcher {launcher}: the environment variable {name} must '
                f'be a number, and is {os.environ.get(name)!r}; start through '
                f'{script}'
            )
    if launcher == 'slurm' and not {'SLURM_NODELIST', 'MASTER_ADDR'} & set(
        os.environ
    ):
        raise UserError(
            '--launcher slurm: neither SLURM_NODELIST nor '
            'MASTER_ADDR in the environment; start through '
            f'{script}'
        )
    gpus = torch.cuda.device_count()
    local_rank = int(os.environ['LOCAL_RANK'])
    if launcher == 'pytorch' and 0 < gpus <= local_rank:
        raise UserError(
            f'process {local_rank + 1} of this machine has no '
            f'GPU: only {gpus} visible; start {gpus} processes'
        )


def _environment_from_slurm() -> None:
    """Translate SLURM's variables into those PyTorch reads."""
    env = os.environ
    env['RANK'] = env['SLURM_PROCID']
    env['WORLD_SIZE'] = env['SLURM_NTASKS']
    env['LOCAL_RANK'] = env.get('SLURM_LOCALID', '0')
    env.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in env:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostname', env['SLURM_NODELIST']],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        env['MASTER_ADDR'] = hosts.split()[0]


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
    found = getattr(_unwrapped(runner.model), 'found_in_models', None)
    if found:
        runner.cfg.model.distiller.merge(ConfigDict(found))
        runner.dump_config()
        for backend in runner.visualizer._vis_backends.values():
            # Other services refuse to be told twice.
            if isinstance(backend, LocalVisBackend):
                backend.add_config(runner.cfg)
    return runner


def _unwrapped(model: Any) -> Any:
    while is_model_wrapper(model):
        model = model.module
    return model


def end_processes() -> None:
    """Leave the process group, once all of a run is done.

    Gloo's threads can abort a process that ends before them, and they end
    with the last reference to the group. Drop the runner before: its model
    holds one.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()
