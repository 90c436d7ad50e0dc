# Copyright (c) mmdiffkd contributors.
# WRN-40-2 alone on CIFAR-100: 75.61 top-1 in the paper.
_base_ = '../../_base_/schedules/a1_cifar100.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdiffkd.CIFARWideResNet', depth=40, widen_factor=2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
