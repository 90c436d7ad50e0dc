# Copyright (c) mmdiffkd contributors.
# DSKD on the five levels P3 to P7 of a feature pyramid with 256 channels. The
# head is RetinaNet's: its classification tower, shared by the levels, scores
# each position. What is the paper's and what ours: docs/en/dskd.md.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    pairs=dict(
        dskd=dict(
            source='neck',
            recorder_name='fpn',
            outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
            connector=dict(
                type='mmdiffkd.DSKDConnector',
                student_channels=256,
                teacher_channels=256,
                guidance=dict(
                    head=['bbox_head.cls_convs', 'bbox_head.retina_cls'],
                    activation='sigmoid',
                    scale=0.5,
                ),
                diffusion_loss_weight=1.0,
            ),
            loss=dict(
                type='mmdiffkd.LSHFeatureLoss',
                channels=256,  # of the teacher
                num_hashes=4096,
                mse_weight=1.0,
                hash_weight=1.0,
                loss_weight=1.0,
            ),
        )
    ),
)
