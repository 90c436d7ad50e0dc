# Copyright (c) mmdiffkd contributors.
# DiffKD with structure and initialisation of the paper's published code.
_base_ = './bccd_diffkd.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(connector=dict(recipe='released', kd_warmup_iters=0))
        )
    )
)
