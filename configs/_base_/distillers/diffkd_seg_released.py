# Copyright (c) mmdiffkd contributors.
# `diffkd_seg` with the recipe that the paper's authors released (for
# classification; their segmentation code is not public).
_base_ = './diffkd_seg.py'

distiller = dict(connectors=dict(diff_logits=dict(recipe='released')))
