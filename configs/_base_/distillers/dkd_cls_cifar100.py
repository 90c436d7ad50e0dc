# Copyright (c) mmdiffkd contributors.
# `dkd_cls` with temperature and weights of its authors' config for ResNet-20
# from ResNet-56 on CIFAR-100; other pairs have another beta there.
_base_ = './dkd_cls.py'

distiller = dict(
    distill_losses=dict(loss_dkd=dict(tau=4.0, alpha=1.0, beta=2.0))
)
