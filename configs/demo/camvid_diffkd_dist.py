# Copyright (c) mmdiffkd contributors.
# DiffKD as in `camvid_diffkd_features.py`, and DIST on the predictions.
_base_ = [
    './_base_/camvid_distill.py',
    '../_base_/distillers/diffkd_dist_seg.py',
]

_base_.distiller.pairs.kd.student = dict(
    source='decode_head.convs', data_idx=None
)
_base_.distiller.pairs.kd.connector.update(
    student_channels=64, teacher_channels=256, latent_channels=None
)
_base_.distiller.pairs.kd.loss.loss_weight = 20.0
model = dict(distiller=_base_.distiller)
