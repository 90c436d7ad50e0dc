# Copyright (c) mmdiffkd contributors.
# The control of camvid_diffkd_features: all of it but the diffusion.
_base_ = './camvid_diffkd_features.py'

model = dict(
    distiller=dict(
        pairs=dict(
            kd=dict(
                connector=dict(
                    _delete_=True,
                    type='mmdiffkd.MimicConnector',
                    student_channels=64,
                    teacher_channels=256,
                    latent_channels=None,
                    autoencoder_loss_weight=1.0,
                    norm_cfg=dict(type='SyncBN'),
                )
            )
        )
    )
)
