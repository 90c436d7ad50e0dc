# Copyright (c) mmdiffkd contributors.
# DSKD on the feature before pooling.
_base_ = ['./_base_/digits_cls_distill.py', '../_base_/distillers/dskd_cls.py']

_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=64, teacher_channels=256
)
_base_.distiller.pairs.dskd_feature.loss.update(channels=256)
model = dict(distiller=_base_.distiller)
