# Copyright (c) mmdiffkd contributors.
"""A tiny COCO-format set, a tiny RetinaNet, and ways to run the tools."""

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SIZE = 64

STUDENT = """
default_scope = 'mmdet'
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        num_stages=4,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True)),
    neck=dict(
        type='FPN',
        in_channels=[16, 32, 64],
        out_channels=16,
        num_outs=3),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=2,
        in_channels=16,
        stacked_convs=1,
        feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=1,
            ratios=[1.0],
            strides=[8, 16, 32]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False),
    test_cfg=dict(
        nms_pre=50,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=5))

data_root = '{root}/'
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs',
         meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                    'scale_factor'))
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        metainfo=dict(classes=('red', 'blue')),
        data_root=data_root,
        ann_file='labels.json',
        data_prefix=dict(img='images/'),
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        metainfo=dict(classes=('red', 'blue')),
        data_root=data_root,
        ann_file='labels.json',
        data_prefix=dict(img='images/'),
        test_mode=True,
        pipeline=pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'labels.json')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001, momentum=0.9))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    visualization=dict(type='DetVisualizationHook'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
"""

DISTILL = """
_base_ = ['student.py']
custom_hooks = [dict(type='EMAHook', momentum=0.3)]
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)
model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='{folder}/student.py'),
    allow_random_teacher=True,
    distiller=dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        teacher_recorders=dict(fpn=dict(type='ModuleOutputs', source='neck')),
        connectors=dict(
            diff_p3=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=16,
                teacher_channels=16)),
        connector_forward_mappings=dict(
            diff_p3=dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, data_idx=0),
                t_feature=dict(
                    recorder='fpn', from_student=False, data_idx=0))),
        distill_losses=dict(
            loss_kd_p3=dict(
                type='mmrazor.L2Loss', normalize=False, div_element=True)),
        loss_forward_mappings=dict(
            loss_kd_p3=dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, connector='diff_p3'),
                t_feature=dict(
                    recorder='fpn', from_student=False,
                    connector='diff_p3')))))
"""


def _write_set(root: Path) -> None:
    """Eight images with one red and one blue rectangle each."""
    (root / 'images').mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(8):
        picture = np.full((SIZE, SIZE, 3), 40, np.uint8)
        for category, color in ((1, (0, 0, 255)), (2, (255, 0, 0))):
            x, y = (int(v) for v in rng.integers(0, SIZE - 32, 2))
            cv2.rectangle(picture, (x, y), (x + 30, y + 30), color, -1)
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=category,
                    bbox=[x, y, 30, 30],
                    area=900,
                    iscrowd=0,
                )
            )
        cv2.imwrite(str(root / 'images' / f'{index}.png'), picture)
        images.append(
            dict(id=index, file_name=f'{index}.png', height=SIZE, width=SIZE)
        )
    categories = [dict(id=1, name='red'), dict(id=2, name='blue')]
    (root / 'labels.json').write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=categories)
        )
    )


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Folder with ``data/``, ``student.py`` and ``distill.py``."""
    folder = tmp_path_factory.mktemp('tiny')
    _write_set(folder / 'data')
    (folder / 'student.py').write_text(
        STUDENT.replace('{root}', str(folder / 'data'))
    )
    (folder / 'distill.py').write_text(
        DISTILL.replace('{folder}', str(folder))
    )
    return SimpleNamespace(
        folder=folder,
        image=str(folder / 'data' / 'images' / '0.png'),
        student=str(folder / 'student.py'),
        distill=str(folder / 'distill.py'),
    )


def run_process(*command, cwd=None, timeout=540, **env):
    """Run a command as a user would, without a GPU."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=dict(os.environ, PATH=path, CUDA_VISIBLE_DEVICES='', **env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope='session')
def process():
    return run_process


def forget_runs() -> None:
    """Drop MMEngine's objects of a run; the next may get the same name."""
    from mmdet.visualization import DetLocalVisualizer

    for kind in (
        DefaultScope,
        MessageHub,
        MMLogger,
        DetLocalVisualizer,
        Visualizer,
    ):
        kind._instance_dict.clear()


@pytest.fixture
def tool(capsys, monkeypatch, tmp_path):
    """Run a script of ``tools/`` inside this process, which is faster.

    Works for runs that end before the training or testing loop.
    """

    def run(script, *args):
        # A script adds itself to the path, and launching sets variables.
        monkeypatch.setattr(sys, 'path', list(sys.path))
        monkeypatch.setattr(
            sys, 'argv', [script, *(str(word) for word in args)]
        )
        monkeypatch.setattr(os, 'environ', os.environ.copy())
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        code = 0
        forget_runs()  # those of other tests in this process
        try:
            runpy.run_path(str(TOOLS / script), run_name='__main__')
        except SystemExit as end:
            code = end.code
        finally:
            forget_runs()
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def mistake(tool):
    """Run a tool that must answer with one error; return its message."""

    def run(script, *args):
        result = tool(script, *args)
        assert result.code == 2, result.err
        assert 'Traceback' not in result.err
        lines = result.err.split('error: ')
        assert len(lines) == 2, result.err
        return lines[1].strip()

    return run


@pytest.fixture(scope='session')
def distilled(tiny, tmp_path_factory):
    """Work dir of a finished epoch of ``distill.py``, which has EMA."""
    work_dir = tmp_path_factory.mktemp('distilled')
    run = run_process(
        sys.executable,
        TOOLS / 'train.py',
        tiny.distill,
        '--work-dir',
        work_dir,
        '--seed',
        1,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return work_dir


@pytest.fixture
def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])
