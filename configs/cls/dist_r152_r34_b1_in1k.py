# Copyright (c) mmdiffkd contributors.
# Teacher 78.48 (78.31 in DIST's paper); ResNet-34, as a teacher, 73.31.
# 8 GPUs x 32 images = 256, 100 epochs (B1).
_base_ = ['baselines/resnet34_b1_in1k.py', '../_base_/distillers/dist_cls.py']

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmpretrain::resnet/resnet152_8xb32_in1k.py'),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/resnet152_8xb32_in1k_20210901-4d7582fa.pth',
    distiller=_base_.distiller,
)
