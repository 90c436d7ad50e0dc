# Copyright (c) mmdiffkd contributors.
# DIST on the logits.
_base_ = ['./_base_/cifar10_distill.py', '../_base_/distillers/dist_cls.py']

model = dict(distiller=_base_.distiller)
