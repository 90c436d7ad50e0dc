# Copyright (c) mmdiffkd contributors.
"""The libraries' own train scripts, as their wheels ship them."""

import json
import math
import sys
from pathlib import Path

import pytest

from mmdiffkd.datasets import make_demo_set

# Library, config and schedule: two iterations, or an epoch of a few.
RUNS = dict(
    det=('mmdet', 'digits_diffkd_retina', ['train_cfg.max_epochs=1']),
    seg=(
        'mmseg',
        'digits_seg_diffkd',
        ['train_cfg.max_iters=2', 'train_cfg.val_interval=2'],
    ),
    cls=('mmpretrain', 'digits_cls_diffkd', ['train_cfg.max_epochs=1']),
)


def small_run(task, data):
    """Options that put a config of the demo on a tiny set, on CPU."""
    options = [
        'model.teacher_ckpt=None',
        'model.allow_random_teacher=True',
        'train_dataloader.batch_size=2',
        'default_hooks.logger.interval=1',
        'log_processor.window_size=1',
    ]
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.data_root={data}/',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
        if task == 'det' and split != 'train':
            options.append(
                f'{split}_evaluator.ann_file={data}/annotations/'
                f'instances_{split}.json'
            )
    return options


@pytest.mark.slow
@pytest.mark.parametrize('task', RUNS)
def test_stock_train_script_distills(task, process, checkout, tmp_path):
    library, config, schedule = RUNS[task]
    package = pytest.importorskip(library)
    script = Path(package.__file__).parent / '.mim' / 'tools' / 'train.py'
    if not script.is_file():
        pytest.skip(f'this installation of {library} ships no train script')
    counts = dict(train=4, val=2, test=2)
    data = make_demo_set(tmp_path / 'data', task, counts)[0]

    work_dir = tmp_path / 'work'
    # As from anywhere: the script knows nothing of this checkout.
    result = process(
        sys.executable,
        script,
        checkout / f'configs/demo/{config}.py',
        '--work-dir',
        work_dir,
        '--cfg-options',
        *small_run(task, data),
        *schedule,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr[-4000:]

    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    steps = [line for line in lines if 'loss' in line]
    assert len(steps) >= 2
    for step in steps:
        distilled = {k for k in step if k.startswith('distill.')}
        assert any(key.endswith('.loss_diff') for key in distilled)
        assert any('loss_kd' in key for key in distilled)
        assert all(math.isfinite(step[key]) for key in distilled)
    assert list(work_dir.glob('*_1.pth')) + list(work_dir.glob('*_2.pth'))
