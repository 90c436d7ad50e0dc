# Copyright (c) mmdiffkd contributors.
# `diffkd_retina` with the recipe that the paper's authors released.
_base_ = './diffkd_retina.py'

distiller = dict(
    connectors={f'diff_p{p}': dict(recipe='released') for p in range(3, 8)}
)
