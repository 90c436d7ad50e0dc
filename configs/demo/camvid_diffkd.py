# Copyright (c) mmdiffkd contributors.
# DiffKD on the predicted maps of 11 classes, compared by DIST. Before the
# diffusion model has learned, its gradient only disturbs the student's.
_base_ = ['./_base_/camvid_distill.py', '../_base_/distillers/diffkd_seg.py']

_base_.distiller.pairs.kd.connector.update(
    student_channels=11, teacher_channels=11, kd_warmup_iters=100
)
model = dict(distiller=_base_.distiller)
