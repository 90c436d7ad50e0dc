# Copyright (c) mmdiffkd contributors.
# DIST on the predicted maps.
_base_ = ['./_base_/camvid_distill.py', '../_base_/distillers/dist_seg.py']

model = dict(distiller=_base_.distiller)
