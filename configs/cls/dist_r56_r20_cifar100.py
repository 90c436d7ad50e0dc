# Copyright (c) mmdiffkd contributors.
# Teacher 72.34, student alone 69.06 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
_base_ = [
    'baselines/resnet20_cifar100.py',
    '../_base_/distillers/dist_cls.py',
]
# As in the config that DIST's authors released for CIFAR-100.
_base_.distiller.pairs.dist.loss.tau = 4.0

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet56_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet56.pth',
    distiller=_base_.distiller,
)
