# Copyright (c) mmdiffkd contributors.
# DiffKD on the feature before pooling (MSE) and on the logits (KL).
_base_ = [
    './_base_/digits_cls_distill.py',
    '../_base_/distillers/diffkd_cls.py',
]

_base_.distiller.pairs.kd_feature.connector.update(
    student_channels=64, teacher_channels=256, latent_channels=None
)
_base_.distiller.pairs.kd_logits.connector.update(
    student_channels=10, teacher_channels=10
)
model = dict(distiller=_base_.distiller)
