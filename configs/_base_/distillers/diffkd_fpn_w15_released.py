# Copyright (c) mmdiffkd contributors.
# `diffkd_fpn_w15` with the recipe that the paper's authors released.
_base_ = './diffkd_fpn_w15.py'

distiller = dict(
    connectors={f'diff_p{p}': dict(recipe='released') for p in range(3, 8)}
)
