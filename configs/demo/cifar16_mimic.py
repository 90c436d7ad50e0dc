# Copyright (c) mmdiffkd contributors.
# The control of cifar16_diffkd: all of it but the diffusion.
_base_ = [
    './_base_/cifar16_distill.py',
    '../_base_/distillers/mimic_tuned_cls.py',
]

_base_.distiller.pairs.kd_feature.connector.update(
    student_channels=32, teacher_channels=64, latent_channels=None
)
_base_.distiller.pairs.kd_logits.connector.update(
    student_channels=10, teacher_channels=10
)
model = dict(distiller=_base_.distiller)
