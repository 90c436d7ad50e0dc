# Copyright (c) mmdiffkd contributors.
# DiffKD on the predicted maps, compared by DIST with every pixel as an
# instance: what the paper does for Cityscapes (lambda_1 = lambda_3 = 1).
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        kd=dict(
            source='decode_head.conv_seg',
            recorder_name='logits',
            connector_name='diff_logits',
            connector=dict(
                type='mmdiffkd.DiffKDConnector',
                student_channels=19,  # classes
                teacher_channels=19,
                diffusion_loss_weight=1.0,  # lambda_1 of the paper
                # Two images a GPU are few for a norm, as in the segmentors.
                norm_cfg=dict(type='SyncBN'),
            ),
            loss=dict(type='mmdiffkd.DISTLoss', tau=1.0, loss_weight=1.0),
        )
    ),
)
