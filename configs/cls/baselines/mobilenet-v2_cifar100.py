# Copyright (c) mmdiffkd contributors.
# MobileNetV2 0.5 for 32x32 pixels alone on CIFAR-100: 64.6 top-1 in the paper.
_base_ = '../../_base_/schedules/a1_cifar100.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdiffkd.CIFARMobileNetV2', widen_factor=0.5),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
)

# Not the 0.05 of A1: the rate that DIST's authors use for these students.
optim_wrapper = dict(optimizer=dict(lr=0.01))
