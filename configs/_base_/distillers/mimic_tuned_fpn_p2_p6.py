# Copyright (c) mmdiffkd contributors.
# DiffKD's control on P2 to P6: all of the tuned recipe but the diffusion.
# A bare convolution in its place: mimic_fpn_p2_p6.
_base_ = './diffkd_fpn_p2_p6.py'

distiller = dict(
    connectors={
        f'diff_p{p}': dict(
            _delete_=True,
            type='mmdiffkd.MimicConnector',
            student_channels=256,
            teacher_channels=256,
        )
        for p in range(2, 7)
    }
)
