# Copyright (c) mmdiffkd contributors.
# DiffKD on the feature before pooling and on the logits.
_base_ = [
    './_base_/cifar16_distill.py',
    '../_base_/distillers/diffkd_cls_cifar100.py',
]

_base_.distiller.pairs.kd_feature.connector.student_channels = 32
_base_.distiller.pairs.kd_logits.connector.update(
    student_channels=10, teacher_channels=10
)
model = dict(distiller=_base_.distiller)
