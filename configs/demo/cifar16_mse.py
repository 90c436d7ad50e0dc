# Copyright (c) mmdiffkd contributors.
# Plain mimicking of the feature before pooling: a bare 1x1 convolution.
_base_ = ['./_base_/cifar16_distill.py', '../_base_/distillers/mse_cls.py']

_base_.distiller.pairs.mse.connector.update(in_channel=32, out_channel=64)
model = dict(distiller=_base_.distiller)
