# Copyright (c) mmdiffkd contributors.
"""How long a training takes to its first iteration, beside MMDetection's.

The table of docs/en/performance.md is what this prints with ``-s``.
"""

import random
import statistics
import sys
from pathlib import Path

import mmdet
import pytest

from mmdiffkd.datasets import make_demo_set
from test_tools.test_stock_scripts import small_run

ROUNDS = 3
SCRIPT = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
# Runs a script or a module, tells the processor time when the first batch is
# there, and ends.
WATCH = """
import os, runpy, sys, time
_, out, kind, name, *words = sys.argv
sys.argv = [name, *words]
if kind == 'module':
    from mmdiffkd.compat import setup
    setup()  # as the command does, before the libraries
from mmengine.runner.loops import EpochBasedTrainLoop
def first(*_):
    with open(out, 'w') as file:
        file.write(str(time.process_time()))
    os._exit(0)
EpochBasedTrainLoop.run_iter = first
run = runpy.run_path if kind == 'script' else runpy.run_module
run(name, run_name='__main__')
"""
STUDENT = 'configs/demo/digits_retina_student.py'
DISTILL = 'configs/demo/digits_diffkd_retina.py'
STARTS = {
    f"MMDetection's `train.py`, `{STUDENT}`": ('script', SCRIPT, STUDENT),
    f'`mmdiffkd train {STUDENT}`': ('module', 'mmdiffkd', STUDENT),
    f'`mmdiffkd train {DISTILL}`': ('module', 'mmdiffkd', DISTILL),
}


@pytest.mark.slow
@pytest.mark.skipif(not SCRIPT.is_file(), reason='no train.py in this mmdet')
def test_all_of_them_reach_their_first_iteration(process, checkout, tmp_path):
    data = make_demo_set(
        tmp_path / 'data', 'det', dict(train=4, val=2, test=2)
    )[0]
    seconds = {name: [] for name in STARTS}
    order = list(STARTS)
    for i in range(ROUNDS):
        random.Random(i).shuffle(order)
        for name in order:
            kind, program, config = STARTS[name]
            options = small_run('det', data)
            if config == STUDENT:
                options = [o for o in options if 'teacher' not in o]
            out = tmp_path / 'seconds'
            out.unlink(missing_ok=True)
            result = process(
                sys.executable,
                '-c',
                WATCH,
                out,
                kind,
                program,
                *(['train'] if kind == 'module' else []),
                checkout / config,
                '--work-dir',
                tmp_path / f'work_{i}_{order.index(name)}',
                '--cfg-options',
                *options,
                cwd=tmp_path,
            )
            assert out.is_file(), result.stderr[-4000:]
            seconds[name].append(float(out.read_text()))
    print(
        '\n| start | rounds | median, s | of MMDetection |\n|---|---|---|---|'
    )
    stock = next(iter(seconds.values()))
    for name, own in seconds.items():
        ratios = sorted(a / b for a, b in zip(own, stock, strict=True))
        print(
            f'| {name} | {ROUNDS} | {statistics.median(own):.2f} | '
            f'{statistics.median(ratios):.2f} '
            f'({ratios[0]:.2f} to {ratios[-1]:.2f}) |'
        )
    assert all(min(own) > 0 for own in seconds.values())
