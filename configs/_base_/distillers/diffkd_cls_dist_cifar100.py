# Copyright (c) mmdiffkd contributors.
# `diffkd_cls_dist` for CIFAR-100: 100 classes, and no autoencoder. The widths
# are those of the ResNets 6n + 2; other pairs name theirs.
_base_ = './diffkd_cls_dist.py'

distiller = dict(
    connectors=dict(
        diff_feature=dict(
            student_channels=64, teacher_channels=64, latent_channels=None
        ),
        diff_logits=dict(student_channels=100, teacher_channels=100),
    )
)
