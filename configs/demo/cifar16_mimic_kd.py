# Copyright (c) mmdiffkd contributors.
# The control of cifar16_diffkd_kd: all of it but the diffusion.
_base_ = './cifar16_mimic.py'

model = dict(
    distiller=dict(
        pairs=dict(kd_logits=dict(connector=None, loss=dict(tau=4.0)))
    )
)
