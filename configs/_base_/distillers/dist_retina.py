# Copyright (c) mmdiffkd contributors.
# DIST on the classification of RetinaNet. Its classes are independent, hence
# the sigmoid. As its authors do, all anchors of a position are one instance.
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)

# One head is shared by all levels: one record a level, P3 first.
distiller = dict(
    _scope_='mmrazor',
    type='mmdiffkd.DiffKDDistiller',
    student_recorders=dict(
        cls=dict(type='ModuleOutputs', source='bbox_head.retina_cls')
    ),
    teacher_recorders=dict(
        cls=dict(type='ModuleOutputs', source='bbox_head.retina_cls')
    ),
    distill_losses={
        f'loss_dist_p{p}': dict(
            type='mmdiffkd.DISTLoss', activation='sigmoid', loss_weight=1.0
        )
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_dist_p{p}': dict(
            logits_S=dict(recorder='cls', from_student=True, record_idx=p - 3),
            logits_T=dict(
                recorder='cls', from_student=False, record_idx=p - 3
            ),
        )
        for p in range(3, 8)
    },
)
