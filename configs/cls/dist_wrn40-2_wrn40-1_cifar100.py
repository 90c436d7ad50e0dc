# Copyright (c) mmdiffkd contributors.
# Teacher 75.61, student alone 71.98 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
_base_ = [
    'baselines/wrn40-1_cifar100.py',
    '../_base_/distillers/dist_cls.py',
]
# As in the config that DIST's authors released for CIFAR-100.
_base_.distiller.pairs.dist.loss.tau = 4.0

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/wrn40-2_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_wrn_40_2.pth',
    distiller=_base_.distiller,
)
