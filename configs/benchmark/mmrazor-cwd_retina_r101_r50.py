# Copyright (c) mmdiffkd contributors.
# CWD of MMRazor, with the settings of its config for an FPN.
_base_ = './_base_/retina_r101_r50.py'

model = dict(
    distiller=dict(
        distill_losses={
            f'loss_cwd_{i}': dict(
                type='ChannelWiseDivergence', tau=1, loss_weight=10
            )
            for i in range(5)
        },
        loss_forward_mappings={
            f'loss_cwd_{i}': dict(
                preds_S=dict(recorder='fpn', from_student=True, data_idx=i),
                preds_T=dict(recorder='fpn', from_student=False, data_idx=i),
            )
            for i in range(5)
        },
    )
)
