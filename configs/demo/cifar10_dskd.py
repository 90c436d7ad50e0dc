# Copyright (c) mmdiffkd contributors.
# DSKD on the feature before pooling. Ablations, by --cfg-options:
# model.distiller.pairs.dskd_feature.connector.guidance.scale=0 and
# model.distiller.pairs.dskd_feature.loss.hash_weight=0.
_base_ = [
    './_base_/cifar10_distill.py',
    '../_base_/distillers/dskd_cls.py',
]
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=64, teacher_channels=64
)
_base_.distiller.pairs.dskd_feature.loss.channels = 64

model = dict(distiller=_base_.distiller)
