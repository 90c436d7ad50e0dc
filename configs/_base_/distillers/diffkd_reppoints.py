# Copyright (c) mmdiffkd contributors.
# The recipe for RepPoints: DiffKD on the pyramid, P3 to P7, with a weight of
# 15, and the smooth L1 distance of both point heads.
_base_ = './diffkd_fpn.py'

# Each head is shared by all levels: one record a level, P3 first.
distiller = dict(
    pairs={
        'kd': dict(loss=dict(loss_weight=15.0)),
        **{
            f'reg_{head}': dict(
                source=f'bbox_head.reppoints_pts_{head}_out',
                outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
                index='record_idx',
                loss=dict(
                    type='mmdiffkd.BoxRegressionLoss',
                    beta=0.11,
                    loss_weight=weight,
                ),
            )
            for head, weight in (('init', 0.1), ('refine', 0.2))
        },
    }
)
