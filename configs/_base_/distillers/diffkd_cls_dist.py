# Copyright (c) mmdiffkd contributors.
# `diffkd_cls` with DIST as the distance of the logits: the dagger of the
# paper's Table 2.
_base_ = './diffkd_cls.py'

distiller = dict(
    distill_losses=dict(
        loss_kd_logits=dict(
            _delete_=True, type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0
        )
    ),
    loss_forward_mappings=dict(
        loss_kd_logits=dict(
            _delete_=True,
            logits_S=dict(
                recorder='logits', from_student=True, connector='diff_logits'
            ),
            logits_T=dict(
                recorder='logits', from_student=False, connector='diff_logits'
            ),
        )
    ),
)
