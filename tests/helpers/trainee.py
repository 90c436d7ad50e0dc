# Copyright (c) mmdiffkd contributors.
"""Small real distillation runs, in processes that may be killed.

As a script it is a server: it imports everything once, forks the processes
of a run when it is asked to, and kills them at a chosen event. It is asked by
one JSON object per line, see :func:`serve`.
"""

import json
import os
import random
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import (
    HOOKS,
    METRICS,
    OPTIM_WRAPPERS,
    DefaultScope,
)
from mmengine.runner import Runner
from torch.utils.data import Dataset

import mmdiffkd  # noqa: F401
from helpers import toys
from mmdiffkd.engine import launch, process_group
from mmdiffkd.engine.reliable_hooks import make_reliable
from mmdiffkd.registry import DATASETS

IMAGES, BATCH, EPOCHS, ITERS = 10, 2, 3, 13


@DATASETS.register_module(force=True)
class AugmentedImages(Dataset):
    """Random images, augmented with all three generators."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, length=IMAGES):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        data = toys.batch(size=(32, 32), n=1, seed=index)
        factor = (
            random.random() + np.random.rand() + float(torch.rand(()))
        ) / 3
        return dict(
            inputs=(data['inputs'][0] * factor).byte(),
            data_samples=data['data_samples'][0],
        )


@METRICS.register_module(force=True)
class UpAndDown(BaseMetric):
    """A score that is sometimes the best."""

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        iteration = MessageHub.get_current_instance().get_info('iter', 0)
        return dict(score=float(np.sin(iteration)))


@OPTIM_WRAPPERS.register_module(force=True)
class CPUAmpOptimWrapper(AmpOptimWrapper):
    """MMEngine's, with what asks for a GPU replaced by PyTorch's for the CPU.

    The scale grows until gradients overflow and steps are left out, so that
    a wrong scale or count after a resume gives other weights.
    """

    def __init__(self, **kwargs):
        OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler(
            'cpu', init_scale=2.0**14, growth_interval=2
        )

    @contextmanager
    def optim_context(self, model):
        with (
            OptimWrapper.optim_context(self, model),
            torch.autocast('cpu', torch.float16),
        ):
            yield


def tell(pipe, kind):
    """Send an event; go on when the server has seen it."""
    if pipe is not None:
        os.write(pipe[1], kind)
        os.read(pipe[0], 1)


@HOOKS.register_module(force=True)
class Witness(Hook):
    """Tell each event, write the losses down, and augment in this process.

    An event is one byte in a pipe, and is answered by one.
    """

    priority = 'VERY_HIGH'

    def __init__(self, pipe=None, losses=None):
        self.pipe, self.losses = pipe, losses

    def tell(self, kind=b'.'):
        tell(self.pipe, kind)

    def before_train(self, runner):
        self.tell(b'S')

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.tell()
        # As mixup does; draws from the generators of training.
        scale = random.random() + np.random.rand() + float(torch.rand(()))
        data_batch['inputs'] = [
            (image * (scale / 3)).byte() for image in data_batch['inputs']
        ]

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        self.tell()
        if self.losses:
            line = [runner.iter] + [v.item() for v in outputs.values()]
            with open(self.losses, 'a') as file:
                file.write(json.dumps(line) + '\n')

    def before_save_checkpoint(self, runner, checkpoint):
        self.tell(b'C')

    def before_val(self, runner):
        random.random(), np.random.rand(), torch.rand(())
        self.tell(b'V')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.tell(b'v')

    def after_val(self, runner):
        self.tell()


def config(
    work_dir,
    loop='epoch',
    workers=0,
    resume=False,
    pipe=None,
    processes=1,
    options=None,
):
    """Config of a run, before :func:`make_reliable`."""
    loader = dict(
        batch_size=BATCH // processes,
        num_workers=workers,
        persistent_workers=workers > 0,
        dataset=dict(type='mmdiffkd.AugmentedImages'),
        collate_fn=dict(type='pseudo_collate'),
        sampler=dict(
            type='DefaultSampler' if loop == 'epoch' else 'InfiniteSampler',
            shuffle=True,
        ),
    )
    by_epoch = loop == 'epoch'
    train_cfg = (
        dict(by_epoch=True, max_epochs=EPOCHS, val_interval=2)
        if by_epoch
        else (dict(by_epoch=False, max_iters=ITERS, val_interval=5))
    )
    rank = os.environ.get('RANK', '0')
    cfg = Config(
        dict(
            model=toys.algorithm(distiller=toys.distiller(levels=1)),
            work_dir=str(work_dir),
            train_dataloader=loader,
            train_cfg=train_cfg,
            val_dataloader=dict(
                loader,
                batch_size=1,
                num_workers=0,
                persistent_workers=False,
                dataset=dict(type='mmdiffkd.AugmentedImages', length=4),
                sampler=dict(type='DefaultSampler', shuffle=False),
            ),
            val_cfg=dict(),
            val_evaluator=dict(type='UpAndDown'),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=0.001),
                clip_grad=dict(max_norm=10),
            ),
            param_scheduler=[
                dict(
                    type='LinearLR',
                    start_factor=0.1,
                    by_epoch=False,
                    begin=0,
                    end=7,
                ),
                dict(
                    type='MultiStepLR',
                    milestones=[1, 2],
                    gamma=0.5,
                    by_epoch=True,
                )
                if by_epoch
                else dict(
                    type='CosineAnnealingLR',
                    begin=7,
                    T_max=ITERS,
                    by_epoch=False,
                ),
            ],
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook',
                    interval=1 if by_epoch else 3,
                    by_epoch=by_epoch,
                    max_keep_ckpts=2,
                    save_best='score',
                    rule='greater',
                ),
                logger=dict(type='LoggerHook', interval=100),
            ),
            custom_hooks=[
                dict(type='EMAHook', momentum=0.1),
                dict(
                    type='Witness',
                    pipe=pipe if rank == '0' else None,
                    losses=f'{work_dir}/losses.{rank}.txt',
                ),
            ],
            randomness=dict(seed=3),
            default_scope='mmdet',
            experiment_name='run',
            log_level='WARNING',
        )
    )
    if processes > 1:
        cfg.custom_hooks.append(
            dict(type='mmdiffkd.PreemptionHook', interval=2)
        )
    cfg.merge_from_dict(options or {})
    launch.set_resume(cfg, 'auto' if resume else None)
    return cfg


def train(spec, pipe=None):
    """One process of a run."""
    spec = dict(spec)
    if spec.pop('slow_writer', False):
        write_slowly(pipe)
    launcher = 'none' if spec.get('processes', 1) == 1 else 'pytorch'
    cfg = config(pipe=pipe, **spec)
    make_reliable(cfg)
    process_group.init_processes(cfg, launcher)
    launch.build_runner(cfg).train()
    process_group.end_processes()


def write_slowly(pipe):
    """Write checkpoints in pieces, and tell an event after each."""
    from mmengine.fileio import LocalBackend

    def put(self, obj, filepath):
        with open(filepath, 'wb') as file:
            for i in range(0, len(obj), 65536):
                file.write(obj[i : i + 65536])
                file.flush()
                tell(pipe, b'W')

    LocalBackend.put = put


def serve():
    """Answer requests, one a line: the arguments of :func:`run_processes`."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # everything else that is printed
    warm_up()
    for line in sys.stdin:
        print(
            json.dumps(run_processes(**json.loads(line))),
            file=answers,
            flush=True,
        )


def warm_up():
    """Import all, and leave out what costs seconds in each process."""
    import mmengine.runner.runner as runner_module

    # Formats the whole config, with each checkpoint.
    Config.pretty_text = property(lambda self: 'seconds = 0')
    runner_module.collect_env = dict  # asks compilers
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder)
        cfg.experiment_name = 'warm_up'
        cfg.default_hooks.checkpoint.save_best = None
        # Validation only: a process that has computed a gradient cannot fork
        # others that do.
        Runner.from_cfg(cfg).val()
    for kind in (DefaultScope, MessageHub, MMLogger):
        kind._instance_dict.clear()


def run_processes(spec, kill_at=None, kind=None, signals=None, lag=0):
    """Run the processes of one training to their end.

    After ``kill_at`` events of ``kind`` (default: any) they get the signals:
    ``[[rank, name], ...]``; a third element that is true sends it to the
    workers as well. The default is SIGKILL, which comes ``lag`` seconds after
    the event, but not after the next; other signals come before it ends.

    Returns the events and the exit codes, which are negative for signals.
    """
    size = spec.get('processes', 1)
    signals = signals or [[rank, 'SIGKILL'] for rank in range(size)]
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    reader, tells = os.pipe()
    hears, answer = os.pipe()
    pids = [
        _fork(spec, rank, size, port, (hears, tells), (reader, answer))
        for rank in range(size)
    ]
    os.close(tells)
    os.close(hears)
    events, alive, codes = '', set(pids), {}
    while alive:
        # Not until the pipe ends: workers of a killed process live on for
        # some seconds, and hold it.
        if select.select([reader], [], [], 0.02)[0]:
            events += os.read(reader, 1).decode()
            count = len(events) if kind is None else events.count(kind)
            if count == kill_at:
                kill_at = None
                if lag:
                    os.write(answer, b'.')
                    end = time.perf_counter() + lag
                    while time.perf_counter() < end:
                        pass
                for rank, name, *group in signals:
                    send = os.killpg if any(group) else os.kill
                    send(pids[rank], getattr(signal, name))
                if lag:
                    continue
            with suppress(BrokenPipeError):
                os.write(answer, b'.')
        for pid in list(alive):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                alive.remove(pid)
                codes[pid] = os.waitstatus_to_exitcode(status)
    os.close(reader)
    os.close(answer)
    return dict(events=events, codes=[codes[pid] for pid in pids])


def _fork(spec, rank, size, port, pipe, others):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        for end in others:
            os.close(end)
        log = os.open(
            f'{spec["work_dir"]}.{rank}.log',
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            0o644,
        )
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(size),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
        )
        train(spec, pipe)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == '__main__':
    serve()
