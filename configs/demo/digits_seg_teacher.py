# Copyright (c) mmdiffkd contributors.
# The teacher: the student's segmentor twice as wide.
_base_ = './digits_seg_student.py'

model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=72),
    decode_head=dict(in_channels=[72, 72, 72, 72], channels=64),
)
