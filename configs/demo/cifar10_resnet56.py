# Copyright (c) mmdiffkd contributors.
# The teacher: ResNet-56. Its weights are those of another project, through
# tools/model_converters/convert_akamaster_cifar.py.
_base_ = './cifar10_resnet20.py'

model = dict(backbone=dict(depth=56))
