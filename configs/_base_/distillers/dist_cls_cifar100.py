# Copyright (c) mmdiffkd contributors.
# `dist_cls` with tau = 4, which multiplies both terms by tau^2 = 16, as in the
# config that DIST's authors released for CIFAR-100.
_base_ = './dist_cls.py'

distiller = dict(distill_losses=dict(loss_dist=dict(tau=4.0)))
