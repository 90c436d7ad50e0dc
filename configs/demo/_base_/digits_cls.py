# Copyright (c) mmdiffkd contributors.
# Handwritten digits cut out of the demo scenes (tools/make_demo_data.py
# --task cls), one folder a class; every classifier of the demo trains from
# scratch on them.
_base_ = 'mmpretrain::_base_/default_runtime.py'

dataset = dict(
    type='ImageNet',
    data_root='data/demo/cls/',
    metainfo=dict(
        classes=(
            'zero',
            'one',
            'two',
            'three',
            'four',
            'five',
            'six',
            'seven',
            'eight',
            'nine',
        )
    ),
)
data_preprocessor = dict(
    num_classes=10,
    mean=[127.5, 127.5, 127.5],
    std=[63.75, 63.75, 63.75],
    to_rgb=True,
)

# No flipping: a mirrored digit is no digit.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=2),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(data_prefix='train', pipeline=train_pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix='val', pipeline=test_pipeline, **dataset),
)
test_dataloader = dict(
    batch_size=100,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    # Not split='test': ImageNet's own test images have no labels.
    dataset=dict(data_prefix='test', pipeline=test_pipeline, **dataset),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = dict(type='Accuracy', topk=(1,))

# 4179 images / 64 = 66 iterations an epoch
train_cfg = dict(by_epoch=True, max_epochs=15, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.01),
)
# Without T_max the cosine ends with the run, whatever max_epochs is.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        convert_to_iter_based=True,
        eta_min_ratio=0.01,
    ),
]

# Dense enough for the curves of the report; the last checkpoint alone.
default_hooks = dict(
    logger=dict(interval=5), checkpoint=dict(interval=-1, save_last=True)
)
log_processor = dict(window_size=5)
randomness = dict(seed=0)
