# Copyright (c) mmdiffkd contributors.
# DiffKD on P3 to P7. Until the diffusion model has learned, a quarter of the
# run, its gradient disturbs the student's more than it helps.
_base_ = ['./_base_/bccd_distill.py', '../_base_/distillers/diffkd_fpn.py']

_base_.distiller.pairs.kd.connector = dict(
    type='mmdiffkd.DiffKDConnector',
    student_channels=64,
    teacher_channels=64,
    kd_warmup_iters=50,
)
model = dict(distiller=_base_.distiller)
