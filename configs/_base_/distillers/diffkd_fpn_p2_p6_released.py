# Copyright (c) mmdiffkd contributors.
# `diffkd_fpn_p2_p6` with the recipe that the paper's authors released.
_base_ = './diffkd_fpn_p2_p6.py'

distiller = dict(
    connectors={f'diff_p{p}': dict(recipe='released') for p in range(2, 7)}
)
