# Copyright (c) mmdiffkd contributors.
# `dskd_cls` for the ResNets 6n + 2 of CIFAR-100; other pairs name their widths.
_base_ = './dskd_cls.py'

distiller = dict(
    connectors=dict(
        dskd_feature=dict(student_channels=64, teacher_channels=64)),
    distill_losses=dict(loss_dskd_feature=dict(channels=64)))
