# Copyright (c) mmdiffkd contributors.
# The teacher: the student's detector on a ResNet-18 of half width.
_base_ = './digits_retina_student.py'

model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    neck=dict(in_channels=[32, 64, 128, 256]),
)
train_cfg = dict(max_epochs=6)
