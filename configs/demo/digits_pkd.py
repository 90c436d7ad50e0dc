# Copyright (c) mmdiffkd contributors.
# PKD on P3 to P5, with the weight of MMRazor's config for RetinaNet.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        pairs=dict(
            _delete_=True,
            pkd=dict(
                source='neck',
                recorder_name='fpn',
                levels=['p3', 'p4', 'p5'],
                loss=dict(type='mmrazor.PKDLoss', loss_weight=10.0),
            ),
        )
    )
)
