# Copyright (c) mmdiffkd contributors.
# Kullback-Leibler divergence of the predicted maps.
_base_ = ['./_base_/camvid_distill.py', '../_base_/distillers/kd_seg.py']

model = dict(distiller=_base_.distiller)
