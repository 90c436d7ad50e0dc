# Copyright (c) mmdiffkd contributors.
# Teacher 72.34, student alone 69.06 in the paper.
# 1 GPU x 64 images, 240 epochs (A1).
# The paper's dagger, on CIFAR-100: DIST as the distance of the logits.
_base_ = [
    'baselines/resnet20_cifar100.py',
    '../_base_/distillers/diffkd_cls_cifar100.py',
]
_base_.distiller.pairs.kd_logits.loss = dict(
    type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0
)

model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdiffkd::cls/baselines/resnet56_cifar100.py'),
    teacher_ckpt='checkpoints/cifar100_resnet56.pth',
    distiller=_base_.distiller,
)
