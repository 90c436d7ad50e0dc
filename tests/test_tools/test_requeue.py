# Copyright (c) mmdiffkd contributors.
"""`tools/slurm_train.sh` on a cluster that kills and requeues its job."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import mmdiffkd  # noqa: F401  lets torch.load read the log in checkpoints

SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do [[ $1 == -p ]] && shift; shift; done
export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0 SLURM_NODELIST=here
export MASTER_ADDR=127.0.0.1
echo $$ > "$PID_FILE"
exec "$@"
"""
SCONTROL = """#!/usr/bin/env bash
echo "$@" >> "$SCONTROL_FILE"
"""
# Sleeps, or prints its arguments, or ends with the code it is asked for.
PYTHON = """#!/usr/bin/env bash
[[ $1 == -c ]] && { echo 29500; exit; }
trap 'echo term; [[ -n ${MARK:-} ]] && touch "$MMDIFFKD_PREEMPTED_FILE"; \
exit 1' TERM
echo ready
while [[ -n ${WAIT:-} ]]; do sleep 0.1; done
exit "${CODE:-0}"
"""


@pytest.fixture
def cluster(tmp_path):
    """Environment in which the two commands of SLURM are found."""
    for name, text in (
        ('srun', SRUN),
        ('scontrol', SCONTROL),
        ('python', PYTHON),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith('SLURM')}
    return dict(
        env,
        PATH=f'{tmp_path}:{env["PATH"]}',
        CUDA_VISIBLE_DEVICES='',
        PYTHON=str(tmp_path / 'python'),
        GPUS='1',
        PID_FILE=str(tmp_path / 'pid'),
        SCONTROL_FILE=str(tmp_path / 'scontrol.txt'),
    )


def start(*command, env):
    return subprocess.Popen(
        [str(word) for word in command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def requeued(env):
    path = Path(env['SCONTROL_FILE'])
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    'code, job, asked',
    [
        ('85', '77', ['requeue 77']),
        ('85', None, []),
        ('1', '77', []),
        ('0', '77', []),
    ],
)
def test_a_batch_job_is_requeued_on_one_exit_code(
    checkout, cluster, code, job, asked
):
    env = dict(cluster, CODE=code, **({'SLURM_JOB_ID': job} if job else {}))
    run = start(
        checkout / 'tools/slurm_train.sh',
        'part',
        'job',
        'c.py',
        'work',
        env=env,
    )
    run.communicate(timeout=60)
    assert run.returncode == int(code)
    assert requeued(env) == asked


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize('mark, code', [('1', 85), ('', 1)])
def test_dist_train_passes_signals_on(checkout, cluster, number, mark, code):
    """torchrun knows SIGTERM only, and loses the code of its processes."""
    env = dict(cluster, WAIT='1', MARK=mark)
    run = start(checkout / 'tools/dist_train.sh', 'c.py', '2', env=env)
    assert run.stdout.readline() == 'ready\n'
    run.send_signal(number)
    out, _ = run.communicate(timeout=60)
    assert out == 'term\n'
    assert run.returncode == code


def final(work_dir):
    checkpoint = torch.load(
        Path((work_dir / 'last_checkpoint').read_text()), weights_only=True
    )
    losses = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if 'loss' in row:
                losses[row['step']] = row['loss']
    return checkpoint, losses


def wait_for(path, run):
    """Until a file is there, or the run has ended."""
    deadline = time.monotonic() + 300
    while not path.exists():
        assert run.poll() is None, run.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_then_preempted_then_done(checkout, cluster, tiny, tmp_path):
    """The node dies; the job is requeued, told to leave, and requeued."""
    env = dict(cluster, PYTHON=sys.executable, SLURM_JOB_ID='77')

    def train(work_dir, **more):
        return start(
            checkout / 'tools/slurm_train.sh',
            'part',
            'job',
            tiny.distill,
            work_dir,
            '--seed',
            '1',
            '--cfg-options',
            'val_cfg=None',
            'val_dataloader=None',
            'val_evaluator=None',
            'train_cfg.max_epochs=6',
            'default_hooks.checkpoint.type=CheckpointHook',
            'default_hooks.checkpoint.max_keep_ckpts=2',
            'default_hooks.checkpoint.interval=1',
            env=dict(env, MASTER_PORT=str(29600 + os.getpid() % 1000), **more),
        )

    work_dir, whole = tmp_path / 'work', tmp_path / 'whole'
    run = train(whole)
    assert run.wait(300) == 0

    run = train(work_dir)
    wait_for(work_dir / 'epoch_1.pth', run)
    os.kill(int(Path(env['PID_FILE']).read_text()), signal.SIGKILL)
    assert run.wait(60) == 128 + signal.SIGKILL
    assert requeued(env) == []  # SLURM itself does, when a node dies

    run = train(work_dir, SLURM_RESTART_COUNT='1')
    wait_for(work_dir / 'epoch_3.pth', run)
    run.send_signal(signal.SIGUSR1)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 85, err[-3000:]
    assert requeued(env) == ['requeue 77']

    run = train(work_dir, SLURM_RESTART_COUNT='2')
    _, err = run.communicate(timeout=300)
    assert run.returncode == 0, err[-3000:]
    (one, one_losses), (other, other_losses) = final(work_dir), final(whole)
    assert one['meta']['iter'] == other['meta']['iter'] == 24
    for part in ('state_dict', 'ema_state_dict'):
        assert list(one[part]) == list(other[part])
        for key, value in one[part].items():
            assert torch.equal(value, other[part][key]), key
    assert one_losses == other_losses and len(one_losses) == 24
