# Copyright (c) mmdiffkd contributors.
# PKD on the last feature map before pooling: Pearson correlation of each
# channel, behind a 1x1 convolution of the student. Its weight has not been
# searched.
_base_ = './mse_cls.py'

distiller = dict(
    distill_losses=dict(
        _delete_=True, loss_pkd=dict(type='mmrazor.PKDLoss', loss_weight=1.0)
    ),
    loss_forward_mappings=dict(
        _delete_=True,
        loss_pkd=dict(
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
