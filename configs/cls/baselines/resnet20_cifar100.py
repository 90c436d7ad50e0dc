# Copyright (c) mmdiffkd contributors.
# ResNet-20 alone on CIFAR-100: 69.06 top-1 in the paper.
_base_ = '../../_base_/schedules/a1_cifar100.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdiffkd.CIFARResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=64,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)
