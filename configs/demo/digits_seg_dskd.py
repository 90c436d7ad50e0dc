# Copyright (c) mmdiffkd contributors.
# DSKD on the map in front of the classifier. This head makes it by a sum,
# which is the output of no module but the input of one.
_base_ = ['./_base_/digits_seg_distill.py', '../_base_/distillers/dskd_seg.py']

_base_.distiller.pairs.dskd_feature.update(
    source='decode_head.conv_seg', recorder_type='ModuleInputs', data_idx=0
)
_base_.distiller.pairs.dskd_feature.connector.update(
    student_channels=32, teacher_channels=64, norm_cfg=dict(type='BN')
)
_base_.distiller.pairs.dskd_feature.loss.channels = 64
model = dict(distiller=_base_.distiller)
