# Copyright (c) mmdiffkd contributors.
# Row B1 of the paper's Table 1: ImageNet, 100 epochs, 8 GPUs x 32 images =
# 256, random crops and flips, SGD 0.1, x0.1 every 30 epochs.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32.py',
    'mmpretrain::_base_/default_runtime.py',
]

# Nesterov's momentum, and no decay of biases and norms: not in the table, but
# in the config that the authors released.
optim_wrapper = dict(
    optimizer=dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    ),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1
)

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2, save_best='auto'))

auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32 images
