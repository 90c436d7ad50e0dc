# Copyright (c) mmdiffkd contributors.
# CWD on P3 to P5, with the temperature and weight of MMRazor's configs.
_base_ = './digits_diffkd_retina.py'

model = dict(
    distiller=dict(
        pairs=dict(
            _delete_=True,
            cwd=dict(
                source='neck',
                recorder_name='fpn',
                levels=['p3', 'p4', 'p5'],
                loss=dict(
                    type='mmrazor.ChannelWiseDivergence',
                    tau=1.0,
                    loss_weight=10.0,
                ),
            ),
        )
    )
)
