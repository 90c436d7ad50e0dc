# Copyright (c) mmdiffkd contributors.
"""Small real detectors and a whole distillation config around them."""

import copy

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

import mmdiffkd  # noqa: F401


def detector(width=8, channels=16, norm=None, dropout=False):
    """RetinaNet on a narrow ResNet-18 with three FPN levels."""
    norm = norm or dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    )
    return dict(
        type='mmdet.RetinaNet',
        data_preprocessor=dict(
            type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **norm
        ),
        backbone=dict(
            type='mmdet.ResNet',
            depth=18,
            base_channels=width,
            stem_channels=width,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            frozen_stages=-1,
        ),
        neck=dict(
            type='mmdet.FPN',
            start_level=1,
            num_outs=3,
            in_channels=[width, 2 * width, 4 * width, 8 * width],
            out_channels=channels,
        ),
        bbox_head=dict(
            type='mmdet.RetinaHead',
            num_classes=3,
            in_channels=channels,
            stacked_convs=1,
            feat_channels=channels,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                octave_base_scale=4,
                scales_per_octave=1,
                ratios=[1.0],
                strides=[8, 16, 32],
            ),
            loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True),
        ),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.4,
                min_pos_iou=0,
            ),
            sampler=dict(type='mmdet.PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
        ),
        test_cfg=dict(
            nms_pre=100,
            score_thr=0.0,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=10,
        ),
    )


def distiller(student_channels=16, teacher_channels=24, levels=3, **connector):
    """DiffKD on the FPN levels."""
    names = [f'p{i + 3}' for i in range(levels)]
    record = dict(fpn=dict(type='ModuleOutputs', source='neck'))
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=record,
        teacher_recorders=copy.deepcopy(record),
        connectors={
            f'diff_{p}': dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=student_channels,
                teacher_channels=teacher_channels,
                **connector,
            )
            for p in names
        },
        connector_forward_mappings={
            f'diff_{p}': dict(
                s_feature=dict(recorder='fpn', from_student=True, data_idx=i),
                t_feature=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i, p in enumerate(names)
        },
        distill_losses={
            f'loss_kd_{p}': dict(
                type='mmrazor.L2Loss', normalize=False, div_element=True
            )
            for p in names
        },
        loss_forward_mappings={
            f'loss_kd_{p}': dict(
                s_feature=dict(
                    recorder='fpn', from_student=True, connector=f'diff_{p}'
                ),
                t_feature=dict(
                    recorder='fpn', from_student=False, connector=f'diff_{p}'
                ),
            )
            for p in names
        },
    )


def pairs(levels=3):
    """The same as :func:`distiller`, in the short form."""
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        pairs=dict(
            kd=dict(
                source='neck',
                recorder_name='fpn',
                levels=[f'p{i + 3}' for i in range(levels)],
                connector_name='diff',
                connector=dict(
                    type='mmdiffkd.DiffKDConnector',
                    student_channels=16,
                    teacher_channels=24,
                ),
                loss=dict(
                    type='mmrazor.L2Loss', normalize=False, div_element=True
                ),
            )
        ),
    )


def algorithm(**overrides):
    """Config of the whole; ``overrides`` replace its top-level keys."""
    cfg = dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=detector(),
        teacher=detector(width=12, channels=24),
        allow_random_teacher=True,
        distiller=distiller(),
    )
    cfg.update(overrides)
    return cfg


def build(cfg):
    """Build a model config as a Runner of MMDetection would."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(ConfigDict(copy.deepcopy(cfg)))


def batch(size=(64, 96), n=2, seed=0):
    """What a data loader hands to ``train_step``."""
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for i in range(n):
        inputs.append(
            torch.randint(256, (3, *size), generator=generator).byte()
        )
        sample = DetDataSample(
            metainfo=dict(
                img_shape=size,
                ori_shape=size,
                pad_shape=size,
                scale_factor=(1.0, 1.0),
                img_id=i,
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(
                [[8.0, 8.0, 40.0, 40.0], [20.0, 10.0, 60.0, 50.0]]
            ),
            labels=torch.tensor([0, 2]),
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def losses(model, data=None):
    """Losses of one batch in training mode."""
    model.train()
    return model(**model.data_preprocessor(data or batch(), True), mode='loss')
