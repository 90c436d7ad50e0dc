# Copyright (c) mmdiffkd contributors.
"""2,000 iterations: memory and open files stay as they are."""

import os

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmdiffkd.engine.analysis.soak import Report, Sample, soak, soak_config
from mmdiffkd.engine.prepare import prepare
from mmdiffkd.registry import DATASETS


@DATASETS.register_module(force=True)
class TinyImages(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return dict(
            inputs=torch.full((3, 8, 8), index * 10, dtype=torch.uint8),
            data_samples=DataSample().set_gt_label(index % 2),
        )


@HOOKS.register_module(force=True)
class Leak(Hook):
    """Keeps 64 KiB and an open file of every tenth iteration."""

    kept = []

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter % 10 == 0:
            self.kept += [torch.ones(2**14), os.open(os.devnull, os.O_RDONLY)]


def classifier(width):
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor', mean=[0] * 3, std=[255] * 3
        ),
        backbone=dict(
            type='mmpretrain.ResNet_CIFAR',
            depth=18,
            base_channels=width,
            stem_channels=width,
            num_stages=1,
            strides=(1,),
            dilations=(1,),
            out_indices=(0,),
        ),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead', num_classes=2, in_channels=width
        ),
    )


def runner(work_dir, iterations, hooks=()):
    """DiffKD of one pooled feature, the smallest that there is."""
    record = dict(gap=dict(type='ModuleOutputs', source='neck.gap'))
    sides = {
        name: dict(recorder='gap', from_student=side == 's')
        for side, name in (('s', 's_feature'), ('t', 't_feature'))
    }
    model = dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=classifier(4),
        teacher=classifier(8),
        allow_random_teacher=True,
        distiller=dict(
            _scope_='mmrazor',
            type='mmdiffkd.DiffKDDistiller',
            student_recorders=record,
            teacher_recorders=record,
            connectors=dict(
                diff=dict(
                    type='mmdiffkd.DiffKDConnector',
                    student_channels=4,
                    teacher_channels=8,
                    sampler=dict(
                        type='mmdiffkd.DDIMSampler', num_inference_steps=1
                    ),
                )
            ),
            connector_forward_mappings=dict(diff=sides),
            distill_losses=dict(
                loss_kd=dict(
                    type='mmrazor.L2Loss', normalize=False, div_element=True
                )
            ),
            loss_forward_mappings=dict(
                loss_kd={
                    name: dict(side, connector='diff')
                    for name, side in sides.items()
                }
            ),
        ),
    )
    cfg = Config(
        dict(
            model=model,
            work_dir=str(work_dir),
            default_scope='mmpretrain',
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                dataset=dict(type='mmdiffkd.TinyImages'),
                collate_fn=dict(type='pseudo_collate'),
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)
            ),
            custom_hooks=[dict(type='EMAHook'), *hooks],
            log_level='WARNING',
            randomness=dict(seed=0),
            experiment_name=work_dir.name,
        )
    )
    return prepare(soak_config(cfg, iterations))


@pytest.mark.slow
def test_two_thousand_iterations(tmp_path, capsys):
    report = soak(runner(tmp_path, 2000))
    with capsys.disabled():
        print(f'\n{report}')
    assert report.samples[-1].iteration == 2000
    assert report.flat


@pytest.mark.slow
def test_a_leak_is_seen(tmp_path):
    report = soak(runner(tmp_path, 400, [dict(type='Leak')]))
    assert report.files_growth >= 15
    assert not report.flat


def report(rss, files):
    samples = [Sample(i, *pair, 1.0) for i, pair in enumerate(zip(rss, files))]
    return Report(samples, rss[-1] - rss[0], files[-1] - files[0], 1.0)


def test_what_is_steady():
    assert Report([], 0.0, 0, 1.2).steady
    assert not Report([], 0.0, 0, 1.3).steady


def test_what_is_flat():
    assert report([500, 505], [9, 9]).flat
    assert report([500, 505], [9, 8]).flat
    assert not report([500, 520], [9, 9]).flat
    assert not report([500, 500], [9, 10]).flat
