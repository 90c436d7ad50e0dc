# Copyright (c) mmdiffkd contributors.
# Teacher 76.55 (the paper's has 76.16); student alone 70.13 in the paper.
# 8 GPUs x 32 images = 256, 100 epochs (B1).
_base_ = [
    'baselines/mobilenet-v1_b1_in1k.py',
    '../_base_/distillers/dkd_cls.py',
]
# As in its authors' config for this pair.
_base_.distiller.pairs.dkd.loss.beta = 2.0

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmpretrain::resnet/resnet50_8xb32_in1k.py'),
    teacher_ckpt='https://download.openmmlab.com/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
    distiller=_base_.distiller,
)
