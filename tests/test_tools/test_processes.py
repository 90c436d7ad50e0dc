# Copyright (c) mmdiffkd contributors.
"""The scripts as real processes: usage, launchers, several ranks."""

import json
import os
import shutil
import sys

import pytest

PYTHON_TOOLS = ['train.py', 'test.py', 'model_converters/export_student.py']
USAGE = {
    'dist_train.sh': 'CONFIG GPUS',
    'dist_test.sh': 'CONFIG CHECKPOINT GPUS',
    'slurm_train.sh': 'PARTITION JOB CONFIG WORK_DIR',
    'slurm_test.sh': 'PARTITION JOB CONFIG CHECKPOINT',
}
SOURCED = ['forward.sh', 'help.sh', 'torchrun.py', 'torchrun.sh']
# Prints what it was given, then does what SLURM would do with one task.
SRUN = """#!/usr/bin/env bash
for word in "$@"; do echo "srun: $word"; done
while [[ $1 == -* ]]; do [[ $1 == -p ]] && shift; shift; done
export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0 SLURM_NODELIST=here
export MASTER_ADDR=127.0.0.1
exec "$@"
"""


@pytest.mark.slow
@pytest.mark.parametrize('script', PYTHON_TOOLS)
def test_help_from_a_checkout_that_is_not_installed(
    process, checkout, tmp_path, script
):
    run = process(
        sys.executable,
        checkout / 'tools' / script,
        '--help',
        cwd=tmp_path,
        PYTHONPATH='',
    )
    assert run.returncode == 0, run.stderr
    assert 'usage:' in run.stdout and '--help' in run.stdout


@pytest.mark.parametrize('script', USAGE)
def test_launcher_without_arguments_says_its_usage(process, checkout, script):
    run = process(checkout / 'tools' / script, 'one')
    assert run.returncode == 2
    assert run.stderr.startswith('error: usage:') and not run.stdout
    assert USAGE[script] in run.stderr
    assert run.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'words',
    [
        ('dist_train.sh', 'c.py', 'two'),
        ('dist_train.sh', 'c.py', '0'),
        ('dist_test.sh', 'c.py', 'x.pth', '-1'),
    ],
)
def test_number_of_gpus_must_be_one(process, checkout, words):
    run = process(checkout / 'tools' / words[0], *words[1:])
    assert run.returncode == 2
    assert 'GPUS is the number of processes' in run.stderr


def fake_python(folder):
    """An interpreter that says what it is asked to run."""
    path = folder / 'fake python'
    path.write_text(
        '#!/usr/bin/env bash\n'
        'for word in "$@"; do echo "python: $word"; done\n'
    )
    path.chmod(0o755)
    return path


def test_dist_train_honours_its_environment(process, checkout, tmp_path):
    run = process(
        checkout / 'tools' / 'dist_train.sh',
        'my config.py',
        '4',
        '--amp',
        PYTHON=str(fake_python(tmp_path)),
        NNODES='3',
        NODE_RANK='2',
        MASTER_ADDR='10.0.0.1',
        PORT='1234',
    )
    assert run.returncode == 0, run.stderr
    words = [line[len('python: ') :] for line in run.stdout.splitlines()]
    assert words[0].endswith('tools/_shell/torchrun.py')
    assert words[1:6] == [
        '--nnodes=3',
        '--node_rank=2',
        '--master_addr=10.0.0.1',
        '--master_port=1234',
        '--nproc_per_node=4',
    ]
    assert words[6].endswith('tools/train.py')
    assert words[7:] == ['my config.py', '--launcher', 'pytorch', '--amp']


def test_several_machines_agree_on_the_default_port(
    process, checkout, tmp_path
):
    run = process(
        checkout / 'tools' / 'dist_test.sh',
        'c.py',
        'x.pth',
        '1',
        PYTHON=str(fake_python(tmp_path)),
        NNODES='2',
    )
    assert 'python: --master_port=29500\n' in run.stdout


def with_srun(folder):
    path = folder / 'srun'
    path.write_text(SRUN)
    path.chmod(0o755)
    return f'{folder}:{os.environ["PATH"]}'


def test_slurm_test_passes_everything_on(process, checkout, tmp_path):
    run = process(
        'env',
        f'PATH={with_srun(tmp_path)}',
        checkout / 'tools' / 'slurm_test.sh',
        'part',
        'job',
        'c.py',
        'x.pth',
        '--out',
        'a b.pkl',
        PYTHON=str(fake_python(tmp_path)),
        GPUS='4',
        CPUS_PER_TASK='2',
        SRUN_ARGS='--quotatype=auto --exclusive',
    )
    assert run.returncode == 0, run.stderr
    words = [
        line[len('srun: ') :]
        for line in run.stdout.splitlines()
        if line.startswith('srun: ')
    ]
    for word in (
        '--job-name=job',
        '--gres=gpu:4',
        '--ntasks=4',
        '--ntasks-per-node=4',
        '--cpus-per-task=2',
        '--quotatype=auto',
        '--exclusive',
    ):
        assert word in words
    assert words[:2] == ['-p', 'part']
    assert words[-6:] == [
        'c.py',
        'x.pth',
        '--launcher',
        'slurm',
        '--out',
        'a b.pkl',
    ]


@pytest.mark.slow
def test_slurm_train_trains(process, checkout, tiny, tmp_path, free_port):
    work_dir = tmp_path / 'work'
    run = process(
        'env',
        f'PATH={with_srun(tmp_path)}',
        checkout / 'tools' / 'slurm_train.sh',
        'part',
        'job',
        tiny.student,
        work_dir,
        '--cfg-options',
        'val_cfg=None',
        'val_dataloader=None',
        'val_evaluator=None',
        PYTHON=sys.executable,
        GPUS='1',
        MASTER_PORT=free_port,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert (work_dir / 'epoch_1.pth').is_file()


@pytest.mark.slow
def test_two_processes_train_then_test(process, checkout, tiny, tmp_path):
    work_dir = tmp_path / 'work'
    run = process(
        checkout / 'tools' / 'dist_train.sh',
        tiny.distill,
        '2',
        '--work-dir',
        work_dir,
        PYTHON=sys.executable,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    steps = [
        json.loads(line)
        for line in scalars.read_text().splitlines()
        if '"loss"' in line
    ]
    # 8 images / (2 processes x 2 images): one process alone needs 4.
    assert len(steps) == 2
    assert 'distill.loss_kd_p3' in steps[0]

    run = process(
        checkout / 'tools' / 'dist_test.sh',
        tiny.student,
        work_dir / 'epoch_1.pth',
        '2',
        '--work-dir',
        tmp_path / 'test',
        PYTHON=sys.executable,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert 'coco/bbox_mAP' in run.stdout


@pytest.mark.slow
def test_each_rank_says_a_mistake_at_most_once(
    process, checkout, tiny, tmp_path
):
    shutil.copy(tiny.student, tmp_path / 'c.py')
    run = process(
        checkout / 'tools' / 'dist_train.sh',
        'c.py',
        '2',
        '--cfg-options',
        'train_dataloader.dataset.data_root=/nowhere',
        cwd=tmp_path,
        PYTHON=sys.executable,
    )
    assert run.returncode == 2
    for rank in (0, 1):
        assert run.stderr.count(f'[rank {rank}] error: ') <= 1
    assert '] error: data root' in run.stderr
    for words in ('ChildFailedError', 'Traceback', 'exitcode'):
        assert words not in run.stderr


@pytest.mark.parametrize('code', [2, 1])
def test_code_of_a_mistake_passes_torchrun(process, checkout, tmp_path, code):
    """Of any other, torchrun reports as it does."""
    (tmp_path / 'tools/_shell').mkdir(parents=True)
    for name in ('dist_test.sh', *(f'_shell/{n}' for n in SOURCED)):
        shutil.copy(checkout / 'tools' / name, tmp_path / 'tools' / name)
    (tmp_path / 'tools/test.py').write_text(f'raise SystemExit({code})\n')
    run = process(
        tmp_path / 'tools/dist_test.sh',
        'c.py',
        'x.pth',
        '1',
        PYTHON=sys.executable,
    )
    assert run.returncode == code
    assert ('ChildFailedError' in run.stderr) == (code == 1)
    assert ('exitcode' in run.stderr) == (code == 1)


@pytest.mark.parametrize('python', ['/no/such/python', 'without torch'])
@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_an_interpreter_without_torch(
    process, checkout, tmp_path, script, python
):
    if python == 'without torch':
        python = tmp_path / 'python'
        # No site-packages.
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        python.chmod(0o755)
    words = ['x.pth'] if 'test' in script else []
    run = process(
        checkout / 'tools' / script, 'c.py', *words, '1', PYTHON=str(python)
    )
    assert run.returncode == 2 and not run.stdout
    assert run.stderr.startswith(f"error: the interpreter '{python}'")
    assert run.stderr.count('\n') == 1
    assert 'PYTHON=$(bash tools/setup_env.sh --print-python)' in run.stderr


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_a_machine_without_slurm(process, checkout, script):
    run = process(
        'env',
        'PATH=/usr/bin:/bin',
        checkout / 'tools' / script,
        *('part', 'job', 'c.py', 'x'),
    )
    assert run.returncode == 2 and not run.stdout
    assert run.stderr.startswith('error: there is no srun')
    assert run.stderr.count('\n') == 1
