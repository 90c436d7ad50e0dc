# Copyright (c) mmdiffkd contributors.
# FBKD of MMRazor, with the settings of its config for Faster R-CNN: the first
# four levels, of which the two largest are made smaller for the keys.
_base_ = './_base_/retina_r101_r50.py'

model = dict(
    distiller=dict(
        connectors={
            f'{side.lower()}_{i}': dict(
                type=f'FBKD{side}Connector',
                in_channels=256,
                mode='dot_product',
                sub_sample=True,
                reduction=4 if i < 2 else 2,
                maxpool_stride=(8, 4, 2, 2)[i],
            )
            for i in range(4)
            for side in ('Student', 'Teacher')
        },
        distill_losses={
            f'loss_fbkd_{i}': dict(type='FBKDLoss') for i in range(4)
        },
        loss_forward_mappings={
            f'loss_fbkd_{i}': dict(
                s_input=dict(
                    recorder='fpn',
                    from_student=True,
                    data_idx=i,
                    connector=f'student_{i}',
                ),
                t_input=dict(
                    recorder='fpn',
                    from_student=False,
                    data_idx=i,
                    connector=f'teacher_{i}',
                ),
            )
            for i in range(4)
        },
    )
)
