# Copyright (c) mmdiffkd contributors.
# `diffkd_cls_cifar100` with the recipe that the paper's authors released.
_base_ = './diffkd_cls_cifar100.py'

distiller = dict(
    connectors=dict(
        diff_feature=dict(recipe='released'),
        diff_logits=dict(recipe='released'),
    )
)
