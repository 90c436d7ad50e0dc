# Copyright (c) mmdiffkd contributors.
# DIST on the logits, tau = 4 as its authors have it on CIFAR-100.
_base_ = ['./_base_/cifar16_distill.py', '../_base_/distillers/dist_cls.py']
_base_.distiller.pairs.dist.loss.tau = 4.0

model = dict(distiller=_base_.distiller)
