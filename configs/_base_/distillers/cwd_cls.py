# Copyright (c) mmdiffkd contributors.
# CWD on the last feature map before pooling: divergence of each channel's
# distribution over the positions, behind a 1x1 convolution of the student.
# Logits have no positions. Its weight has not been searched.
_base_ = './mse_cls.py'

distiller = dict(
    distill_losses=dict(
        _delete_=True,
        loss_cwd=dict(
            type='mmrazor.ChannelWiseDivergence', tau=1.0, loss_weight=1.0
        ),
    ),
    loss_forward_mappings=dict(
        _delete_=True,
        loss_cwd=dict(
            preds_S=dict(
                recorder='feature',
                from_student=True,
                data_idx=-1,
                connector='projection',
            ),
            preds_T=dict(recorder='feature', from_student=False, data_idx=-1),
        ),
    ),
)
