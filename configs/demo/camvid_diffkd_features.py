# Copyright (c) mmdiffkd contributors.
# DiffKD on the map that is classified, both of stride 8, as `camvid_mse.py`
# compares it. Without an autoencoder.
_base_ = [
    './_base_/camvid_distill.py',
    '../_base_/distillers/diffkd_features_seg.py',
]

# A module gives a map where a backbone gives a list of them.
_base_.distiller.pairs.kd.student = dict(
    source='decode_head.convs', data_idx=None
)
_base_.distiller.pairs.kd.connector.update(
    student_channels=64, teacher_channels=256, latent_channels=None
)
# The teacher's feature is small, with a root mean square of 0.36.
_base_.distiller.pairs.kd.loss.loss_weight = 20.0
model = dict(distiller=_base_.distiller)
