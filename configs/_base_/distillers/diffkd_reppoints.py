# Copyright (c) mmdiffkd contributors.
# The recipe for RepPoints: DiffKD on the pyramid, P3 to P7, and the smooth L1
# distance of both point heads. Without the latter: diffkd_fpn_w15.
_base_ = './diffkd_fpn_w15.py'

# Each head is shared by all levels: one record a level, P3 first.
distiller = dict(
    student_recorders={
        f'reg_{head}': dict(
            type='ModuleOutputs', source=f'bbox_head.reppoints_pts_{head}_out'
        )
        for head in ('init', 'refine')
    },
    teacher_recorders={
        f'reg_{head}': dict(
            type='ModuleOutputs', source=f'bbox_head.reppoints_pts_{head}_out'
        )
        for head in ('init', 'refine')
    },
    distill_losses={
        f'loss_reg_{head}_p{p}': dict(
            type='mmdiffkd.BoxRegressionLoss', beta=0.11, loss_weight=weight
        )
        for head, weight in (('init', 0.1), ('refine', 0.2))
        for p in range(3, 8)
    },
    loss_forward_mappings={
        f'loss_reg_{head}_p{p}': dict(
            preds_S=dict(
                recorder=f'reg_{head}', from_student=True, record_idx=p - 3
            ),
            preds_T=dict(
                recorder=f'reg_{head}', from_student=False, record_idx=p - 3
            ),
        )
        for head in ('init', 'refine')
        for p in range(3, 8)
    },
)
