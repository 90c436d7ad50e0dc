# Copyright (c) mmdiffkd contributors.
"""Small real models of all three libraries, distilled, and their batches."""

import copy

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData

from helpers import toys

TASKS = ('det', 'seg', 'cls')
SCOPES = dict(det='mmdet', seg='mmseg', cls='mmpretrain')
MEAN = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
CLASSES = ('ash', 'elm', 'oak')


def _backbone(scope, width, norm):
    return dict(
        type=f'{scope}.ResNet',
        depth=18,
        base_channels=width,
        stem_channels=width,
        frozen_stages=-1,
        norm_cfg=norm,
        norm_eval=False,
    )


def student(task, width=8, norm=None):
    """Config of a plain model; ``norm`` of every layer that has one."""
    norm = norm or dict(type='BN', requires_grad=True)
    if task == 'det':
        model = toys.detector(width=width)
        model['backbone'].update(norm_cfg=norm)
        return model
    backbone = _backbone(SCOPES[task], width, norm)
    if task == 'seg':
        return dict(
            type='mmseg.EncoderDecoder',
            data_preprocessor=dict(
                type='mmseg.SegDataPreProcessor',
                bgr_to_rgb=True,
                size=(64, 64),
                seg_pad_val=255,
                **MEAN,
            ),
            backbone=dict(
                backbone,
                strides=(1, 2, 1, 1),
                dilations=(1, 1, 1, 1),
                out_indices=(0, 1, 2, 3),
            ),
            decode_head=dict(
                type='mmseg.FCNHead',
                in_channels=8 * width,
                in_index=3,
                channels=8,
                num_convs=1,
                concat_input=False,
                dropout_ratio=0.0,
                num_classes=3,
                norm_cfg=norm,
                align_corners=False,
                loss_decode=dict(type='mmseg.CrossEntropyLoss'),
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(
            type='mmpretrain.ClsDataPreprocessor',
            num_classes=3,
            to_rgb=True,
            **MEAN,
        ),
        backbone=dict(backbone, out_indices=(3,)),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=3,
            in_channels=8 * width,
            loss=dict(type='mmpretrain.CrossEntropyLoss'),
        ),
    )


def distiller(task, **connector):
    """DiffKD on one feature of each task."""
    if task == 'det':
        return toys.distiller(
            student_channels=16, teacher_channels=16, levels=2, **connector
        )
    source = dict(seg='decode_head.conv_seg', cls='head.fc')[task]
    record = dict(out=dict(type='ModuleOutputs', source=source))
    if task == 'cls':
        # A norm over three numbers leaves the student next to no gradient.
        connector = dict(
            denoiser=dict(type='MLPDenoiser'), student_norm=False, **connector
        )
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=record,
        teacher_recorders=copy.deepcopy(record),
        connectors=dict(
            diff_out=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=3,
                teacher_channels=3,
                **connector,
            )
        ),
        connector_forward_mappings=dict(
            diff_out=dict(
                s_feature=dict(recorder='out', from_student=True),
                t_feature=dict(recorder='out', from_student=False),
            )
        ),
        distill_losses=dict(
            loss_kd=dict(
                type='mmrazor.L2Loss', normalize=False, div_element=True
            )
        ),
        loss_forward_mappings=dict(
            loss_kd=dict(
                s_feature=dict(
                    recorder='out', from_student=True, connector='diff_out'
                ),
                t_feature=dict(
                    recorder='out', from_student=False, connector='diff_out'
                ),
            )
        ),
    )


def algorithm(task, norm=None, **connector):
    """Config of the whole."""
    return dict(
        type='mmdiffkd.FrozenTeacherDistill',
        architecture=student(task, norm=norm),
        teacher=student(task, width=12, norm=norm and dict(norm)),
        allow_random_teacher=True,
        distiller=distiller(task, **connector),
    )


def build(task, cfg):
    """Build a model config as a Runner of the task's library would."""
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        return MODELS.build(ConfigDict(copy.deepcopy(cfg)))


def batch(task, n=2, seed=0, size=(64, 64)):
    """What a data loader hands to ``train_step``."""
    data = toys.batch(size=size, n=n, seed=seed)
    if task == 'det':
        return data
    generator = torch.Generator().manual_seed(seed + 1)
    samples = []
    for i in range(n):
        if task == 'seg':
            from mmseg.structures import SegDataSample

            sample = SegDataSample(
                metainfo=dict(
                    img_shape=size, ori_shape=size, img_path=f'image_{i}.png'
                )
            )
            sample.gt_sem_seg = PixelData(
                data=torch.randint(3, (1, *size), generator=generator)
            )
        else:
            from mmpretrain.structures import DataSample

            sample = DataSample(metainfo=dict(img_path=f'image_{i}.png'))
            sample.set_gt_label(torch.randint(3, (1,), generator=generator))
        samples.append(sample)
    return dict(inputs=data['inputs'], data_samples=samples)
