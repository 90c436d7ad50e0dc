# Copyright (c) mmdiffkd contributors.
# DSKD on the last map in front of the classifier of a segmentor: of DeepLabV3
# the output of `decode_head.bottleneck`; other heads name theirs as `source`.
# What is the paper's and what is our reading of it: docs/en/dskd.md.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dskd_feature=dict(
            source='decode_head.bottleneck',
            recorder_name='feature',
            connector=dict(
                type='mmdiffkd.DSKDConnector',
                student_channels=128,  # of the ResNet-18 models
                teacher_channels=512,
                guidance=dict(
                    head='decode_head.conv_seg', target='teacher', scale=0.5
                ),
                diffusion_loss_weight=1.0,
                norm_cfg=dict(type='SyncBN'),
            ),
            # Called with (scores, labels); read if guidance.target is 'label'.
            connector_inputs=dict(
                labels=dict(
                    source='decode_head.loss_decode',
                    recorder_type='ModuleInputs',
                    recorder_name='task',
                    data_idx=1,
                )
            ),
            loss=dict(
                type='mmdiffkd.LSHFeatureLoss',
                channels=512,  # of the teacher
                num_hashes=2048,
                mse_weight=1.0,
                hash_weight=1.0,
                loss_weight=1.0,
            ),
        )
    ),
)
