# Copyright (c) mmdiffkd contributors.
# DiffKD's control for classification, on feature and logits: all of the tuned
# recipe but the diffusion. A bare convolution in its place: mse_cls.
_base_ = './diffkd_cls.py'

distiller = dict(
    pairs=dict(
        kd_feature=dict(
            connector=dict(
                _delete_=True,
                type='mmdiffkd.MimicConnector',
                # Widths of ResNet-18 and -34; other pairs name theirs.
                student_channels=512,
                teacher_channels=512,
                latent_channels=1024,  # of the autoencoder
                autoencoder_loss_weight=1.0,
            )
        ),
        kd_logits=dict(
            connector=dict(
                _delete_=True,
                type='mmdiffkd.MimicConnector',
                student_channels=1000,
                teacher_channels=1000,
            )
        ),
    )
)
