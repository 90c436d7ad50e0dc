# Copyright (c) mmdiffkd contributors.
# DiffKD's control on the pyramid: all of the tuned recipe but the diffusion.
# A bare convolution in its place: mimic_fpn.
_base_ = './diffkd_fpn.py'

distiller = dict(
    pairs=dict(
        kd=dict(
            connector=dict(
                _delete_=True,
                type='mmdiffkd.MimicConnector',
                student_channels=256,
                teacher_channels=256,
            )
        )
    )
)
