# Copyright (c) mmdiffkd contributors.
# `diffkd_faster_rcnn` with the recipe that the paper's authors released.
_base_ = './diffkd_faster_rcnn.py'

distiller = dict(
    connectors={f'diff_p{p}': dict(recipe='released') for p in range(2, 7)}
)
