# Copyright (c) mmdiffkd contributors.
# `diffkd_cls` for CIFAR-100: 100 classes, and no autoencoder. The widths are
# those of the ResNets 6n + 2; other pairs name theirs.
_base_ = './diffkd_cls.py'

distiller = dict(
    pairs=dict(
        kd_feature=dict(
            connector=dict(
                student_channels=64, teacher_channels=64, latent_channels=None
            )
        ),
        kd_logits=dict(
            connector=dict(student_channels=100, teacher_channels=100)
        ),
    )
)
