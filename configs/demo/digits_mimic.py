# Copyright (c) mmdiffkd contributors.
# The control of digits_diffkd_retina: all of it but the diffusion.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        connectors={
            f'diff_p{p}': dict(
                _delete_=True,
                type='mmdiffkd.MimicConnector',
                student_channels=64,
                teacher_channels=64,
            )
            for p in range(3, 6)
        }
    )
)
