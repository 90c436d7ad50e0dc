# Copyright (c) mmdiffkd contributors.
# Pearson correlation of features (PKD), weighted as in
# MMRazor's own FPN config.
_base_ = './_base_/bccd_distill.py'

levels = ['p3', 'p4', 'p5', 'p6', 'p7']
model = dict(
    distiller=dict(
        distill_losses={
            f'loss_pkd_{p}': dict(type='mmrazor.PKDLoss', loss_weight=10.0)
            for p in levels
        },
        loss_forward_mappings={
            f'loss_pkd_{p}': dict(
                preds_S=dict(recorder='fpn', from_student=True, data_idx=i),
                preds_T=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i, p in enumerate(levels)
        },
    )
)
