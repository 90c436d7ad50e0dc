# Copyright (c) mmdiffkd contributors.
# Row B2 of the paper's Table 1: ImageNet, 450 epochs, 8 GPUs x 96 images =
# 768, RandAugment and random erasing, RMSProp 0.048, x0.97 every 2.4 epochs,
# averaged weights (0.9999). Label smoothing 0.1 is the student's loss.
_base_ = [
    # RandAugment (magnitude 9, deviation 0.5) and random erasing (0.25).
    'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py',
    'mmpretrain::_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=96)

# The table gives the rate and the decay. Alpha and momentum are those of
# EfficientNet; eps and the three epochs of warm-up are ours.
optim_wrapper = dict(
    optimizer=dict(
        type='RMSprop',
        lr=0.048,
        alpha=0.9,
        eps=1e-3,
        momentum=0.9,
        weight_decay=1e-5,
    ),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        end=3,
        convert_to_iter_based=True,
    ),
    # Multiples of 2.4 = 12 / 5 epochs, rounded up to whole ones: 3, 5, 8, 10,
    # 12, 15, ... There are 450 / 2.4 = 187.5 of them.
    dict(
        type='MultiStepLR',
        by_epoch=True,
        milestones=[(12 * k + 4) // 5 for k in range(1, 188)],
        gamma=0.97,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=450, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2, save_best='auto'))
custom_hooks = [
    dict(
        type='EMAHook',
        momentum=1 - 0.9999,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    )
]

auto_scale_lr = dict(base_batch_size=768)  # 8 GPUs x 96 images
