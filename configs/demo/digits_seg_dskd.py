# Copyright (c) mmdiffkd contributors.
# DSKD on the map in front of the classifier. This head makes it by a sum,
# which is the output of no module but the input of one.
_base_ = ['./_base_/digits_seg_distill.py', '../_base_/distillers/dskd_seg.py']

_base_.distiller.student_recorders.feature.update(
    type='ModuleInputs', source='decode_head.conv_seg'
)
_base_.distiller.teacher_recorders.feature.update(
    type='ModuleInputs', source='decode_head.conv_seg'
)
_base_.distiller.connector_forward_mappings.dskd_feature.s_feature.update(
    data_idx=0
)
_base_.distiller.connector_forward_mappings.dskd_feature.t_feature.update(
    data_idx=0
)
_base_.distiller.connectors.dskd_feature.update(
    student_channels=32, teacher_channels=64, norm_cfg=dict(type='BN')
)
_base_.distiller.distill_losses.loss_dskd_feature.update(channels=64)
model = dict(distiller=_base_.distiller)
