# Copyright (c) mmdiffkd contributors.
# DiffKD with structure and initialisation of the paper's published code.
_base_ = './bccd_diffkd.py'

model = dict(
    distiller=dict(
        connectors={
            f'diff_p{i}': dict(
                # The keys that the base sets go back to the recipe's.
                recipe='released',
                projection_norm=None,
                output_gain=None)
            for i in range(3, 8)
        }))
