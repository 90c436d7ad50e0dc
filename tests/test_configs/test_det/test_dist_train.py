# Copyright (c) mmdiffkd contributors.
"""The main command, with two real processes, on a set of twelve images."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
CONFIG = 'configs/det/diffkd_retina_r101_r50.py'
SCALE = '(128,96)'  # of the images; COCO's is (1333,800)


def small_run(coco, work_dir):
    """Arguments that put a shipped config on a tiny set, on CPU."""
    labels = f'{coco}/annotations/instances_val2017.json'
    options = [
        f'train_dataloader.dataset.data_root={coco}/',
        f'val_dataloader.dataset.data_root={coco}/',
        f'test_dataloader.dataset.data_root={coco}/',
        f'val_evaluator.ann_file={labels}',
        f'test_evaluator.ann_file={labels}',
        f'train_dataloader.dataset.pipeline.2.scale={SCALE}',
        f'val_dataloader.dataset.pipeline.1.scale={SCALE}',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
        'model.architecture.backbone.init_cfg=None',
        'model.teacher.cfg_options.model.backbone.init_cfg=None',
        'model.teacher_ckpt=None',
        'model.allow_random_teacher=True',
    ]
    return ['--work-dir', str(work_dir), '--cfg-options', *options]


@pytest.mark.slow
def test_dist_train_distills_on_two_processes(tiny_coco, tmp_path):
    work_dir = tmp_path / 'work'
    command = ['bash', 'tools/dist_train.sh', CONFIG, '2']
    env = dict(
        os.environ,
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
        PYTHON=sys.executable,
    )
    run = subprocess.run(
        command + small_run(tiny_coco, work_dir),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
    )
    assert run.returncode == 0, run.stdout[-4000:]

    # 12 images / (2 processes x 2 images) = 3 iterations, each logged.
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    steps = [line for line in lines if 'loss' in line]
    assert len(steps) == 3
    for step in steps:
        for name in ['student.loss_cls', 'student.loss_bbox'] + [
            name
            for p in range(3, 8)
            for name in (
                f'distill.loss_kd_p{p}',
                f'distill.diff_p{p}.loss_diff',
                f'distill.diff_p{p}.gamma_mean',
            )
        ]:
            assert math.isfinite(step[name]), name
    # The evaluation ran on the student, after the epoch.
    assert any('coco/bbox_mAP' in line for line in lines) or (
        'The testing results of the whole dataset is empty' in run.stdout
    )

    checkpoint = torch.load(
        work_dir / 'epoch_1.pth', map_location='cpu', weights_only=False
    )
    prefixes = {key.split('.')[0] for key in checkpoint['state_dict']}
    assert prefixes == {'architecture', 'distiller'}
