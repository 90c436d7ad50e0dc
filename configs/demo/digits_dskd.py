# Copyright (c) mmdiffkd contributors.
# DSKD on P3 to P5 in the place of DiffKD, all else the same.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        connectors=dict(
            _delete_=True,
            **{
                f'dskd_p{p}': dict(
                    type='mmdiffkd.DSKDConnector',
                    student_channels=64,
                    teacher_channels=64,
                    guidance=dict(
                        head=['bbox_head.cls_convs', 'bbox_head.retina_cls'],
                        activation='sigmoid',
                        scale=0.5,
                    ),
                )
                for p in range(3, 6)
            },
        ),
        connector_forward_mappings=dict(
            _delete_=True,
            **{
                f'dskd_p{p}': dict(
                    s_feature=dict(
                        recorder='fpn', from_student=True, data_idx=p - 3
                    ),
                    t_feature=dict(
                        recorder='fpn', from_student=False, data_idx=p - 3
                    ),
                )
                for p in range(3, 6)
            },
        ),
        distill_losses=dict(
            _delete_=True,
            **{
                f'loss_dskd_p{p}': dict(
                    type='mmdiffkd.LSHFeatureLoss',
                    channels=64,
                    num_hashes=1024,
                )
                for p in range(3, 6)
            },
        ),
        loss_forward_mappings=dict(
            _delete_=True,
            **{
                f'loss_dskd_p{p}': dict(
                    s_feature=dict(
                        recorder='fpn',
                        from_student=True,
                        connector=f'dskd_p{p}',
                    ),
                    t_feature=dict(
                        recorder='fpn',
                        from_student=False,
                        connector=f'dskd_p{p}',
                    ),
                )
                for p in range(3, 6)
            },
        ),
    )
)
