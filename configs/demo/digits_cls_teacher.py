# Copyright (c) mmdiffkd contributors.
# The teacher: the student's classifier, four times as wide.
_base_ = './digits_cls_student.py'

model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    head=dict(in_channels=256),
)
train_cfg = dict(max_epochs=12)
