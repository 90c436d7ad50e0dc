# Copyright (c) mmdiffkd contributors.
# KD with a temperature of 4. `--cfg-options` with
# `model.distiller.pairs.kd.loss.standardize=True` compares z-scores.
_base_ = ['./_base_/cifar16_distill.py', '../_base_/distillers/kd_cls.py']

model = dict(distiller=_base_.distiller)
