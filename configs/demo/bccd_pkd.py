# Copyright (c) mmdiffkd contributors.
# Pearson correlation of features (PKD), weighted as in
# MMRazor's own FPN config.
_base_ = ['./_base_/bccd_distill.py', '../_base_/distillers/pkd_fpn.py']

_base_.distiller.pairs.pkd.levels = None  # all of them
model = dict(distiller=_base_.distiller)
