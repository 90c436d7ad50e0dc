# Copyright (c) mmdiffkd contributors.
# The student alone, DeepLabV3-R18 without ImageNet weights.
_base_ = './deeplabv3_r18.py'

model = dict(pretrained=None)
