# Copyright (c) mmdiffkd contributors.
# `dkd_cls` with the temperature and weights that its authors use for ResNet-20
# from ResNet-56 on CIFAR-100.
_base_ = './dkd_cls.py'

distiller = dict(
    distill_losses=dict(loss_dkd=dict(tau=4.0, alpha=1.0, beta=2.0)))
