# Copyright (c) mmdiffkd contributors.
# DiffKD with structure and initialisation of the paper's published code.
_base_ = './bccd_diffkd.py'

model = dict(
    distiller=dict(
        connectors={
            f'diff_p{i}': dict(recipe='released', kd_warmup_iters=0)
            for i in range(3, 8)
        }
    )
)
