# Copyright (c) mmdiffkd contributors.
# DiffKD's control on P3 to P7: all of the tuned recipe but the diffusion.
# A bare convolution in its place: mimic_fpn.
_base_ = './diffkd_fpn.py'

distiller = dict(
    connectors={
        f'diff_p{p}': dict(
            _delete_=True,
            type='mmdiffkd.MimicConnector',
            student_channels=256,
            teacher_channels=256,
        )
        for p in range(3, 8)
    }
)
