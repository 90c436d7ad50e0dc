# Copyright (c) mmdiffkd contributors.
# DIST on the predicted maps, without diffusion.
_base_ = ['./_base_/digits_seg_distill.py', '../_base_/distillers/dist_seg.py']

model = dict(distiller=_base_.distiller)
