# Copyright (c) mmdiffkd contributors.
# DiffKD on the predicted maps of 11 classes, compared by DIST.
_base_ = [
    './_base_/digits_seg_distill.py',
    '../_base_/distillers/diffkd_seg.py',
]

_base_.distiller.pairs.kd.connector.update(
    student_channels=11, teacher_channels=11
)
model = dict(distiller=_base_.distiller)
