# Copyright (c) mmdiffkd contributors.
# The teacher: the student's segmentor three times as wide.
_base_ = './digits_seg_student.py'

model = dict(
    backbone=dict(base_channels=48, stem_channels=48),
    neck=dict(in_channels=[48, 96, 192, 384], out_channels=96),
    decode_head=dict(in_channels=[96, 96, 96, 96], channels=96))
