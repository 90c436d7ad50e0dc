# Copyright (c) mmdiffkd contributors.
# DiffKD on the predicted maps, compared by DIST with every pixel as an
# instance: what the paper does for Cityscapes (lambda_1 = lambda_3 = 1).
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    teacher_recorders=dict(
        logits=dict(type='ModuleOutputs', source='decode_head.conv_seg')
    ),
    connectors=dict(
        diff_logits=dict(
            type='mmdiffkd.DiffKDConnector',
            student_channels=19,  # classes
            teacher_channels=19,
            diffusion_loss_weight=1.0,  # lambda_1 of the paper
            # Two images a GPU are few for a norm, as in the segmentors.
            norm_cfg=dict(type='SyncBN'),
        )
    ),
    connector_forward_mappings=dict(
        diff_logits=dict(
            s_feature=dict(recorder='logits', from_student=True),
            t_feature=dict(recorder='logits', from_student=False),
        )
    ),
    distill_losses=dict(
        loss_kd=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0)
    ),
    loss_forward_mappings=dict(
        loss_kd=dict(
            logits_S=dict(
                recorder='logits', from_student=True, connector='diff_logits'
            ),
            logits_T=dict(
                recorder='logits', from_student=False, connector='diff_logits'
            ),
        )
    ),
)
