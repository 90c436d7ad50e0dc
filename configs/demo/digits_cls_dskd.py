# Copyright (c) mmdiffkd contributors.
# DSKD on the feature before pooling.
_base_ = ['./_base_/digits_cls_distill.py', '../_base_/distillers/dskd_cls.py']

_base_.distiller.connectors.dskd_feature.update(
    student_channels=64, teacher_channels=256
)
_base_.distiller.distill_losses.loss_dskd_feature.update(channels=256)
model = dict(distiller=_base_.distiller)
