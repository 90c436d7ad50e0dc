# Copyright (c) mmdiffkd contributors.
# MGD of MMRazor, with the settings of its config for RetinaNet.
_base_ = './_base_/retina_r101_r50.py'

model = dict(
    distiller=dict(
        connectors={
            f'mgd_{i}': dict(
                type='MGDConnector',
                student_channels=256,
                teacher_channels=256,
                lambda_mgd=0.65,
            )
            for i in range(5)
        },
        distill_losses={
            f'loss_mgd_{i}': dict(type='MGDLoss', alpha_mgd=0.00002)
            for i in range(5)
        },
        loss_forward_mappings={
            f'loss_mgd_{i}': dict(
                preds_S=dict(
                    recorder='fpn',
                    from_student=True,
                    data_idx=i,
                    connector=f'mgd_{i}',
                ),
                preds_T=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i in range(5)
        },
    )
)
