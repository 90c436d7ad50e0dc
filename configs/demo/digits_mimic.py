# Copyright (c) mmdiffkd contributors.
# The control of digits_diffkd_retina: all of it but the diffusion.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(
                connector=dict(
                    _delete_=True,
                    type='mmdiffkd.MimicConnector',
                    student_channels=64,
                    teacher_channels=64,
                )
            )
        )
    )
)
