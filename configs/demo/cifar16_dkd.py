# Copyright (c) mmdiffkd contributors.
# DKD, weighted as its authors do for ResNet-20 on CIFAR-100.
_base_ = ['./_base_/cifar16_distill.py', '../_base_/distillers/dkd_cls.py']
_base_.distiller.pairs.dkd.loss.update(tau=4.0, beta=2.0)

model = dict(distiller=_base_.distiller)
