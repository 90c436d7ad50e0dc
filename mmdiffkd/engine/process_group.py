# Copyright (c) mmdiffkd contributors.
"""The processes of a run: who this one is, how they join, how they part."""

import gc
import os
import subprocess
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from mmdiffkd.utils.errors import UserError

SYNC_BN = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


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


def end_processes() -> None:
    """Leave the process group, once all of a run is done.

    Gloo's threads can abort a process that ends before them, and they end
    with the last reference to the group. Drop the runner before: its model
    holds one.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


def replace_sync_bn(cfg: Config) -> int:
    """Turn the SyncBN of a model's config into BN, and say so.

    PyTorch synchronises batch norms on GPUs alone, and MMEngine replaces
    them in runs of one process alone. In a distributed run on CPUs each
    process takes the statistics of its own batch.

    Args:
        cfg (Config): Config, changed in place.

    Returns:
        int: Number of replacements.
    """
    count = _replace(cfg.get('model') or {})
    cfg.pop('sync_bn', None)
    if count:
        print_log(
            f'no GPU: {count} norms of type SyncBN in the config become BN; '
            'each process takes the statistics of its own batch',
            logger='current',
        )
    return count


def _replace(item: Any) -> int:
    count = 0
    if isinstance(item, dict):
        if str(item.get('type')).split('.')[-1] in SYNC_BN:
            item['type'] = 'BN'
            count += 1
        count += sum(_replace(value) for value in item.values())
    elif isinstance(item, (list, tuple)):
        count += sum(_replace(value) for value in item)
    return count
