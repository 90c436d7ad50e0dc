# Copyright (c) mmdiffkd contributors.
# Kullback-Leibler divergence of the logits, tau = 4.
_base_ = ['./_base_/cifar10_distill.py', '../_base_/distillers/kd_cls.py']

model = dict(distiller=_base_.distiller)
