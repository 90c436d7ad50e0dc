# Copyright (c) mmdiffkd contributors.
# DSKD on the feature before pooling. Ablations, by --cfg-options:
# model.distiller.connectors.dskd_feature.guidance.scale=0 and
# model.distiller.distill_losses.loss_dskd_feature.hash_weight=0.
_base_ = [
    './_base_/cifar10_distill.py',
    '../_base_/distillers/dskd_cls_cifar100.py',
]

model = dict(distiller=_base_.distiller)
