# Copyright (c) mmdiffkd contributors.
# `diffkd_cls` with the recipe that the paper's authors released.
_base_ = './diffkd_cls.py'

distiller = dict(
    connectors=dict(
        diff_feature=dict(recipe='released'),
        diff_logits=dict(recipe='released'),
    )
)
