# Copyright (c) mmdiffkd contributors.
# Teacher 72.34, student alone 69.06 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
_base_ = [
    'baselines/resnet20_cifar100.py',
    '../_base_/distillers/dkd_cls.py',
]
# As in its authors' config for this pair.
_base_.distiller.pairs.dkd.loss.update(tau=4.0, beta=2.0)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet56_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet56.pth',
    distiller=_base_.distiller,
)
