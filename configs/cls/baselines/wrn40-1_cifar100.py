# Copyright (c) mmdiffkd contributors.
# WRN-40-1 alone on CIFAR-100: 71.98 top-1 in the paper.
_base_ = '../../_base_/schedules/a1_cifar100.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdiffkd.CIFARWideResNet', depth=40, widen_factor=1),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
