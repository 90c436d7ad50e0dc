# Copyright (c) mmdiffkd contributors.
# Hinton's distillation of the logits, without diffusion.
_base_ = ['./_base_/digits_cls_distill.py', '../_base_/distillers/kd_cls.py']

model = dict(distiller=_base_.distiller)
