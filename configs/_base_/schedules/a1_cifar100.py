# Copyright (c) mmdiffkd contributors.
# Row A1 of the paper's Table 1: CIFAR-100, 240 epochs, 1 GPU x 64 images,
# random crops and flips, SGD 0.05, x0.1 behind epochs 150, 180 and 210.
_base_ = [
    'mmpretrain::_base_/datasets/cifar100_bs16.py',
    'mmpretrain::_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
val_dataloader = dict(batch_size=256)
test_dataloader = dict(batch_size=256)

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1
)

train_cfg = dict(by_epoch=True, max_epochs=240, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(interval=10, save_best='auto', max_keep_ckpts=2)
)

auto_scale_lr = dict(base_batch_size=64)  # 1 GPU x 64 images
