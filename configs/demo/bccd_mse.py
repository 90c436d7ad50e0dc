# Copyright (c) mmdiffkd contributors.
# Plain feature mimicking: one 1x1 convolution and the mean squared error.
_base_ = ['./_base_/bccd_distill.py', '../_base_/distillers/mimic_fpn.py']

_base_.distiller.pairs.mimic.loss_name = 'loss_mse'
_base_.distiller.pairs.mimic.connector.module_args.update(
    in_channels=64, out_channels=64
)
model = dict(distiller=_base_.distiller)
