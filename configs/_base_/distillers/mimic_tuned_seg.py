# Copyright (c) mmdiffkd contributors.
# DiffKD's control on the backbone's last map: all of the tuned recipe but the
# diffusion. A bare convolution in its place: mse_seg.
_base_ = './diffkd_features_seg.py'

distiller = dict(
    pairs=dict(
        kd=dict(
            connector=dict(
                _delete_=True,
                type='mmdiffkd.MimicConnector',
                student_channels=512,  # ResNet-18; MobileNetV2: 320
                teacher_channels=2048,
                latent_channels=512,
                autoencoder_loss_weight=1.0,
                norm_cfg=dict(type='SyncBN'),
            )
        )
    )
)
