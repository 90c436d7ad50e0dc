# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the feature before pooling.
_base_ = ['./_base_/cifar10_distill.py', '../_base_/distillers/mse_cls.py']

_base_.distiller.pairs.mse.connector.update(in_channel=64, out_channel=64)
model = dict(distiller=_base_.distiller)
