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


def quickstart(*args, cwd=ROOT):
    # As a user calls it: every step finds its own checkout.
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    return subprocess.run(['bash', str(SCRIPT), *map(str, args)],
                          cwd=cwd,
                          env=env,
                          capture_output=True,
                          text=True)


def test_help_names_every_option():
    result = quickstart('--help')
    assert result.returncode == 0
    for option in ('--task', '--work-dir', '--seed', '--resume',
                   '--overwrite', '--rehearse', '--help'):
        assert f'  {option}' in result.stdout or f', {option}' in result.stdout


@pytest.mark.parametrize('args, message', [
    (['--epochs', '3'], "unknown option '--epochs'"),
    (['extra'], "unknown option 'extra'"),
    (['--seed'], '--seed needs a value'),
    (['--seed', '1.5'], "--seed '1.5' is no whole number"),
    (['--task', 'audio'], "--task 'audio' does not exist; there is: det"),
    (['--work-dir', ''], '--work-dir must not be empty'),
    (['--resume', '--overwrite'], 'choose one'),
])
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


def test_resuming_with_another_seed_is_refused(tmp_path):
    (tmp_path /
     'quickstart.options').write_text('task=det seed=0 rehearse=false\n')
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
    return subprocess.Popen([
        sys.executable,
        str(PROGRESS), '--title', 'step', '--interval',
        str(interval), '--log',
        str(log), '--', *command
    ],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            text=True)


LINE = ('11/21 07:41:48 - mmengine - INFO - Epoch(train) [2][ 5/50]  lr: '
        '1.9e-03  eta: 0:00:15  time: 0.32  loss: 1.2940  loss_cls: 0.8142')
METRIC = '11/21 07:42:05 - mmengine - INFO - Epoch(val) [2][10/10]    ' \
         'coco/bbox_mAP: 0.0150  coco/bbox_mAP_50: 0.0410'


def test_progress_shows_what_the_log_says(tmp_path):
    log = tmp_path / 'log'
    # Waits for input, so that a line of progress is sure to be printed.
    process = watch(
        log, 'bash', '-c', f'echo "{LINE}"; echo "{METRIC}"; '
        f'until [ -e {tmp_path}/go ]; do read -t 0.1 || true; done')
    for line in process.stdout:
        if 'epoch 2' in line:
            break
    (tmp_path / 'go').touch()
    assert 'iteration 5/50, loss 1.2940' in line
    assert '0:00:15 left' in line
    assert 'done, AP 1.5' in process.communicate()[0]
    assert process.returncode == 0
    assert log.read_text() == f'{LINE}\n{METRIC}\n'


def test_failure_shows_the_end_of_the_log_and_the_exit_code(tmp_path):
    log = tmp_path / 'log'
    process = watch(
        log, 'bash', '-c', 'seq 100; echo "error: bad teacher" >&2; exit 7')
    stderr = process.communicate()[1]
    assert process.returncode == 7
    assert stderr.splitlines()[-2] == 'error: bad teacher'
    assert 'step failed with exit code 7' in stderr
    assert str(log) in stderr
    assert '\n99\n' in stderr and '\n9\n' not in stderr
    assert len(log.read_text().splitlines()) == 101


def test_killed_progress_takes_its_command_along(tmp_path):
    process = watch(tmp_path / 'log', 'bash', '-c', 'echo $$; exec cat',
                    interval=0.05)
    process.stdout.readline()  # it has started
    while not (tmp_path / 'log').exists() or not (tmp_path /
                                                  'log').read_text():
        process.stdout.readline()
    child = int((tmp_path / 'log').read_text())
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.slow
def test_rehearsal_runs_every_step(tmp_path):
    work = tmp_path / 'run'
    result = quickstart('--rehearse', '--work-dir', work)
    assert result.returncode == 0, result.stderr + result.stdout
    for name in ('teacher', 'student alone', 'student distilled', 'report.png',
                 'stock DetInferencer', 'the numbers mean nothing'):
        assert name in result.stdout
    numbers = json.loads((work / 'report.json').read_text())
    assert {model['iterations'] for model in numbers.values()} == {8}
    assert plt.imread(work / 'report.png').shape[1] == 1600

    # Everything is there: nothing is made again.
    before = (work / 'report.png').stat().st_mtime_ns
    again = quickstart('--rehearse', '--work-dir', work, '--resume')
    assert again.returncode == 0, again.stderr
    assert again.stdout.count('found from the earlier run') == 10
    assert (work / 'report.png').stat().st_mtime_ns == before
    refused = quickstart('--rehearse', '--work-dir', work)
    assert refused.returncode == 2
