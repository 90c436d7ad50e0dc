# Copyright (c) mmdiffkd contributors.
# PKD of MMRazor, with the levels and weights of its config for RetinaNet.
_base_ = './_base_/retina_r101_r50.py'

model = dict(
    distiller=dict(
        distill_losses={
            f'loss_pkd_{i}': dict(type='PKDLoss', loss_weight=10)
            for i in range(4)
        },
        loss_forward_mappings={
            f'loss_pkd_{i}': dict(
                preds_S=dict(recorder='fpn', from_student=True, data_idx=i),
                preds_T=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i in range(4)
        },
    )
)
