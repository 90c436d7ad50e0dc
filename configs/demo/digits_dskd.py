# Copyright (c) mmdiffkd contributors.
# DSKD on P3 to P5 in the place of DiffKD, all else the same.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        pairs=dict(
            _delete_=True,
            dskd=dict(
                source='neck',
                recorder_name='fpn',
                levels=['p3', 'p4', 'p5'],
                connector=dict(
                    type='mmdiffkd.DSKDConnector',
                    student_channels=64,
                    teacher_channels=64,
                    guidance=dict(
                        head=['bbox_head.cls_convs', 'bbox_head.retina_cls'],
                        activation='sigmoid',
                        scale=0.5,
                    ),
                ),
                loss=dict(
                    type='mmdiffkd.LSHFeatureLoss',
                    channels=64,
                    num_hashes=1024,
                ),
            ),
        )
    )
)
