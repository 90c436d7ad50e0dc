# Copyright (c) mmdiffkd contributors.
"""A run leaves no thread of gloo, which could abort it after its end."""

import sys
from pathlib import Path

import pytest

SCRIPT = """
import atexit
import os
import signal
import sys
from pathlib import Path


def threads():
    names = [p.read_text() for p in Path('/proc/self/task').glob('*/comm')]
    return sum('gloo' in name for name in names)


# The last of the exit functions.
atexit.register(lambda: print('gloo at the end:', threads()))
tools, how = sys.argv[1:3]
sys.argv[:3] = [os.path.join(tools, 'train.py')]
sys.path.insert(0, tools)
import train
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Witness(Hook):

    def after_train_iter(self, runner, *args, **kwargs):
        print('gloo in training:', threads())
        if how == 'preempted' and runner.iter == 1:
            os.kill(os.getpid(), signal.SIGTERM)


train.main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='Linux only')
@pytest.mark.parametrize('how, code', [('done', 0), ('preempted', 85)])
def test_no_thread_of_gloo_outlives_a_run(
    process, checkout, tiny, tmp_path, free_port, how, code
):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    config = tmp_path / 'c.py'
    config.write_text(
        f"_base_ = {tiny.distill!r}\ncustom_hooks = [dict(type='Witness')]\n"
    )
    run = process(
        sys.executable,
        script,
        checkout / 'tools',
        how,
        config,
        '--launcher',
        'pytorch',
        '--work-dir',
        tmp_path / 'work',
        RANK='0',
        WORLD_SIZE='1',
        LOCAL_RANK='0',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=free_port,
    )
    assert run.returncode == code, run.stderr
    # Two threads in PyTorch 2.11; none would mean that they have a new name.
    assert 'gloo in training: 0' not in run.stdout
    assert 'gloo in training:' in run.stdout
    assert 'gloo at the end: 0' in run.stdout
