# Copyright (c) mmdiffkd contributors.
# `dskd_cls` for CIFAR-100. The widths are those of the ResNets 6n + 2; other
# pairs name theirs.
_base_ = './dskd_cls.py'

distiller = dict(
    connectors=dict(
        dskd_feature=dict(student_channels=64, teacher_channels=64)
    ),
    distill_losses=dict(loss_dskd_feature=dict(channels=64)),
)
