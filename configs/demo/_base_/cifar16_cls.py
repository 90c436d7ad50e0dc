# Copyright (c) mmdiffkd contributors.
# CIFAR-10 at 16 x 16, so that a run goes to its end in minutes of one thread.
# Settings are chosen on the last 5,000 training images, which no run trains
# on; the 10,000 test images are for what has been chosen.
_base_ = './cifar10_cls.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=16, interpolation='area'),
    dict(type='RandomCrop', crop_size=16, padding=2),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=16, interpolation='area'),
    dict(type='PackInputs'),
]

# 10,000 images / 64 = 156 iterations an epoch, 3,120 in all
train_dataloader = dict(
    batch_size=64, dataset=dict(indices=10000, pipeline=train_pipeline)
)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_dataloader = dict(
    dataset=dict(
        ann_file='train.txt',
        data_prefix='train',
        indices=-5000,
        pipeline=test_pipeline,
    )
)

train_cfg = dict(max_epochs=20, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=156),
    dict(
        type='MultiStepLR',
        by_epoch=True,
        milestones=[10, 14],
        gamma=0.1,
    ),
]
