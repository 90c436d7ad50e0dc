# Copyright (c) mmdiffkd contributors.
# DIST on the classification of Faster R-CNN, every RoI an instance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    # The teacher's RoI head, of a cascade its first stage, is run on the
    # RoIs that the student has sampled.
    student_rois=True,
    student_recorders=dict(
        cls=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_cls')
    ),
    teacher_recorders=dict(
        cls=dict(type='ModuleOutputs', source='roi_head.bbox_head.fc_cls')
    ),
    distill_losses=dict(
        loss_dist=dict(type='mmdiffkd.DISTLoss', loss_weight=1.0)
    ),
    loss_forward_mappings=dict(
        loss_dist=dict(
            logits_S=dict(recorder='cls', from_student=True),
            logits_T=dict(recorder='cls', from_student=False),
        )
    ),
)
