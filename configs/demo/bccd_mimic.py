# Copyright (c) mmdiffkd contributors.
# The control of bccd_diffkd: all of it but the diffusion.
_base_ = './bccd_diffkd.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(
                connector=dict(
                    _delete_=True,
                    type='mmdiffkd.MimicConnector',
                    student_channels=64,
                    teacher_channels=64,
                    kd_warmup_iters=50,
                )
            )
        )
    )
)
