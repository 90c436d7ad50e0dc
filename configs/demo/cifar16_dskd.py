# Copyright (c) mmdiffkd contributors.
# DSKD on the feature before pooling.
_base_ = ['./_base_/cifar16_distill.py', '../_base_/distillers/dskd_cls.py']
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=32, teacher_channels=64
)
_base_.distiller.pairs.dskd_feature.loss.channels = 64

model = dict(distiller=_base_.distiller)
