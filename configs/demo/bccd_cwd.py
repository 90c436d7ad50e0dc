# Copyright (c) mmdiffkd contributors.
# Channel-wise distillation (CWD), weighted as in
# MMRazor's own FPN config.
_base_ = './_base_/bccd_distill.py'

levels = ['p3', 'p4', 'p5', 'p6', 'p7']
model = dict(
    distiller=dict(
        distill_losses={
            f'loss_cwd_{p}': dict(
                type='mmrazor.ChannelWiseDivergence', tau=1, loss_weight=10.0
            )
            for p in levels
        },
        loss_forward_mappings={
            f'loss_cwd_{p}': dict(
                preds_S=dict(recorder='fpn', from_student=True, data_idx=i),
                preds_T=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i, p in enumerate(levels)
        },
    )
)
