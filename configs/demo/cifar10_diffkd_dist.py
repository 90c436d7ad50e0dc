# Copyright (c) mmdiffkd contributors.
# DiffKD on the feature before pooling and on the logits; the distance of the
# logits is that of DIST.
_base_ = [
    './_base_/cifar10_distill.py',
    '../_base_/distillers/diffkd_cls_cifar100.py',
]

# CIFAR-10 has ten classes.
_base_.distiller.pairs.kd_logits.connector.update(
    student_channels=10, teacher_channels=10
)
_base_.distiller.pairs.kd_logits.loss = dict(
    type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0
)

model = dict(distiller=_base_.distiller)
