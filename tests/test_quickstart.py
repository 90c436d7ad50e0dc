# Copyright (c) mmdiffkd contributors.
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / 'tools' / 'quickstart.sh'
PROGRESS = ROOT / 'tools' / 'analysis_tools' / 'run_with_progress.py'


def quickstart(*args, cwd=ROOT, **env):
    # As a user calls it: every step finds its own checkout.
    env = dict(os.environ, **env)
    env.pop('PYTHONPATH', None)
    return subprocess.run(
        ['bash', str(SCRIPT), *map(str, args)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
    )


def test_help_names_every_option():
    result = quickstart('--help')
    assert result.returncode == 0
    for option in (
        '--task',
        '--work-dir',
        '--seed',
        '--resume',
        '--overwrite',
        '--rehearse',
        '--help',
    ):
        assert f'  {option}' in result.stdout or f', {option}' in result.stdout


@pytest.mark.parametrize(
    'args, message',
    [
        (['--epochs', '3'], "unknown option '--epochs'"),
        (['extra'], "unknown option 'extra'"),
        (['--seed'], '--seed needs a value'),
        (['--seed', '1.5'], "--seed '1.5' is no whole number"),
        (['--task', 'audio'], 'there are: det, seg, cls, all'),
        (['--work-dir', ''], '--work-dir must not be empty'),
        (['--resume', '--overwrite'], 'choose one'),
    ],
)
def test_bad_options_are_one_clear_error(args, message, tmp_path):
    result = quickstart(*args, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_earlier_run_is_kept_without_a_word_from_the_user(tmp_path):
    work = tmp_path / 'run'
    work.mkdir()
    (work / 'quickstart.options').write_text('task=det seed=0 rehearse=false')
    (work / 'report.png').write_text('precious')
    result = quickstart('--work-dir', work)
    assert result.returncode == 2
    for option in ('--resume', '--overwrite', '--work-dir'):
        assert option in result.stderr
    assert (work / 'report.png').read_text() == 'precious'


def earlier_run(folder, task):
    folder.mkdir(exist_ok=True)
    mark = folder / 'quickstart.options'
    mark.write_text(f'task={task} seed=0 rehearse=false\n')
    return mark


@pytest.mark.parametrize('task', ['seg', 'all'])
def test_an_earlier_run_of_any_task_stops_all_before_they_begin(
    tmp_path, task
):
    mark = earlier_run(tmp_path / 'seg', 'seg')
    result = quickstart('--task', task, '--work-dir', tmp_path)
    assert result.returncode == 2
    assert f'{tmp_path}/seg holds an earlier run' in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.rglob('*.*')) == [mark]


def test_runs_of_other_tasks_in_the_folder_are_not_foreign(tmp_path):
    """They neither stop a detection run, nor does it remove them."""
    earlier_run(tmp_path / 'seg', 'seg')
    earlier_run(tmp_path, 'det')
    (tmp_path / 'teacher').mkdir()
    # Stops where the environment is asked for, after looking at the folder.
    result = quickstart('--work-dir', tmp_path, '--overwrite', PYTHON='/none')
    assert result.returncode == 2
    assert 'setup_env.sh: error' in result.stderr
    (tmp_path / 'my thesis.tex').write_text('years of work')
    (tmp_path / 'quickstart.options').unlink()
    result = quickstart('--work-dir', tmp_path, '--overwrite', PYTHON='/none')
    assert result.returncode == 2
    assert 'something else than a quickstart run' in result.stderr


def test_resuming_with_another_seed_is_refused(tmp_path):
    (tmp_path / 'quickstart.options').write_text(
        'task=det seed=0 rehearse=false\n'
    )
    result = quickstart('--work-dir', tmp_path, '--resume', '--seed', 3)
    assert result.returncode == 2
    assert 'seed=0' in result.stderr and 'seed=3' in result.stderr


@pytest.mark.parametrize('flag', ['--overwrite', '--resume'])
def test_foreign_folder_is_never_touched(tmp_path, flag):
    (tmp_path / 'thesis.tex').write_text('years of work')
    result = quickstart('--work-dir', tmp_path, flag)
    assert result.returncode == 2
    assert 'something else than a quickstart run' in result.stderr
    assert (tmp_path / 'thesis.tex').read_text() == 'years of work'


def watch(log, *command, interval=0.2):
    return subprocess.Popen(
        [
            sys.executable,
            str(PROGRESS),
            '--title',
            'step',
            '--interval',
            str(interval),
            '--log',
            str(log),
            '--',
            *command,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# One logged line of training and one of validation by task, and what of them
# is shown.
STAMP = '11/21 07:41:48 - mmengine - INFO - '
LINES = dict(
    det=(
        'Epoch(train) [2][ 5/50]  lr: 1.9e-03  eta: 0:00:15  time: 0.32  '
        'loss: 1.2940  loss_cls: 0.8142',
        'Epoch(val) [2][10/10]    coco/bbox_mAP: 0.0150  '
        'coco/bbox_mAP_50: 0.0410',
        'epoch 2, iteration 5/50, loss 1.2940',
        'AP 1.5',
    ),
    seg=(
        'Iter(train) [ 25/900]  lr: 1.9e-03  eta: 0:00:15  time: 0.32  '
        'loss: 0.7312  decode.loss_ce: 0.7312',
        'Iter(val) [10/10]    aAcc: 91.2200  mIoU: 43.2100  mAcc: 52.5100',
        '  iteration 25/900, loss 0.7312',
        'mIoU 43.2',
    ),
    cls=(
        'Epoch(train)  [11][ 5/66]  lr: 1.9e-03  eta: 1 day, 0:00:15  '
        'time: 0.32  loss: 1.1021',
        'Epoch(val) [11][4/4]    accuracy/top1: 71.5084  time: 0.0700',
        'epoch 11, iteration 5/66, loss 1.1021',
        'top-1 71.5',
    ),
)


@pytest.mark.parametrize('task', LINES)
def test_progress_shows_what_the_log_says(tmp_path, task):
    log = tmp_path / 'log'
    train, metric, shown, measured = LINES[task]
    # Waits for input, so that a line of progress is sure to be printed.
    process = watch(
        log,
        'bash',
        '-c',
        f'echo "{STAMP}{train}"; echo "{STAMP}{metric}"; '
        f'until [ -e {tmp_path}/go ]; do read -t 0.1 || true; done',
    )
    for line in process.stdout:
        if measured in line:
            break
    (tmp_path / 'go').touch()
    assert shown in line
    assert '0:00:15 left' in line
    assert f'done, {measured}' in process.communicate()[0]
    assert process.returncode == 0
    assert log.read_text() == f'{STAMP}{train}\n{STAMP}{metric}\n'


def test_failure_shows_the_end_of_the_log_and_the_exit_code(tmp_path):
    log = tmp_path / 'log'
    process = watch(
        log, 'bash', '-c', 'seq 100; echo "error: bad teacher" >&2; exit 7'
    )
    stderr = process.communicate()[1]
    assert process.returncode == 7
    assert stderr.splitlines()[-2] == 'error: bad teacher'
    assert 'step failed with exit code 7' in stderr
    assert str(log) in stderr
    assert '\n99\n' in stderr and '\n9\n' not in stderr
    assert len(log.read_text().splitlines()) == 101


def test_killed_progress_takes_its_command_along(tmp_path):
    endless = 'echo $$; exec tail -f /dev/null'
    process = watch(tmp_path / 'log', 'bash', '-c', endless, interval=0.05)
    process.stdout.readline()  # it has started
    while (
        not (tmp_path / 'log').exists() or not (tmp_path / 'log').read_text()
    ):
        process.stdout.readline()
    child = int((tmp_path / 'log').read_text())
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


STOCK = dict(det='DetInferencer', seg='MMSegInferencer')


# The classifier's is in test_packaging.py, from an installed wheel.
@pytest.mark.slow
@pytest.mark.parametrize('task', STOCK)
def test_rehearsal_runs_every_step(tmp_path, task):
    base = tmp_path / 'run'
    work = base if task == 'det' else base / task
    options = ('--rehearse', '--task', task, '--work-dir', base)
    result = quickstart(*options)
    assert result.returncode == 0, result.stderr + result.stdout
    for name in (
        'teacher',
        'student alone',
        'student distilled',
        'report.png',
        f'stock {STOCK[task]}',
        'the numbers mean nothing',
    ):
        assert name in result.stdout
    numbers = json.loads((work / 'report.json').read_text())
    assert {model['iterations'] for model in numbers.values()} == {8}
    assert plt.imread(work / 'report.png').shape[1] == 1600

    # Everything is there: nothing is made again.
    before = (work / 'report.png').stat().st_mtime_ns
    again = quickstart(*options, '--resume')
    assert again.returncode == 0, again.stderr
    assert again.stdout.count('found from the earlier run') == 10
    assert (work / 'report.png').stat().st_mtime_ns == before
    refused = quickstart(*options)
    assert refused.returncode == 2


def test_all_tasks_end_with_one_table(tmp_path):
    """Of runs that are finished, so that nothing is trained."""
    metrics = dict(det='coco/bbox_mAP', seg='mIoU', cls='accuracy/top1')
    for task, metric in metrics.items():
        work = tmp_path if task == 'det' else tmp_path / task
        earlier_run(work, task)
        for folder in ('logs', 'finished', 'teacher', 'student', 'diffkd'):
            (work / folder).mkdir()
            (work / folder / 'last_checkpoint').write_text('x.pth')
        for name in (
            'data',
            'teacher',
            'student',
            'diffkd',
            'test-teacher',
            'test-student',
            'test-diffkd',
            'export',
            'stock',
            'report',
        ):
            (work / 'finished' / name).touch()
        for name in ('stock', 'report'):
            (work / 'logs' / f'{name}.log').write_text(f'{name} of {task}\n')
        models = ('teacher', 'student alone', 'student distilled')
        scale = 0.01 if task == 'det' else 1
        (work / 'report.json').write_text(
            json.dumps(
                {
                    model: dict(metrics={metric: value * scale})
                    for model, value in zip(models, (50, 20, 42.5))
                }
            )
        )
    result = quickstart('--task', 'all', '--work-dir', tmp_path, '--resume')
    assert result.returncode == 0, result.stderr
    table = result.stdout.split('Measured on the test images')[1]
    assert table.count('50.0') == table.count('+22.5') == 3
    order = [table.index(f'{task} ') for task in metrics]
    assert order == sorted(order)
    for task in metrics:
        assert f'report of {task}' in result.stdout
