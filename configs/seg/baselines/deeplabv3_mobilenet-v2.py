# Copyright (c) mmdiffkd contributors.
# The student alone, DeepLabV3-MobileNetV2, on the schedule of all pairs. The
# head has the 128 channels of the paper's student, a quarter of the stock's.
_base_ = 'mmseg::mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024.py'

model = dict(decode_head=dict(channels=128), auxiliary_head=dict(channels=64))

# The paper and the code of DIST: 40k iterations of 16 crops (8 GPUs x 2),
# learning rate 0.02, poly 0.9 down to 1e-4; weight decay 5e-4 is as in stock.
optimizer = dict(lr=0.02)
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=1e-4,
        begin=0,
        end=40000,
        by_epoch=False,
    )
]
train_cfg = dict(max_iters=40000, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))
