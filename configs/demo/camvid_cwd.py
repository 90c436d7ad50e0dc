# Copyright (c) mmdiffkd contributors.
# Channel-wise distillation (CWD) of the predicted maps.
_base_ = ['./_base_/camvid_distill.py', '../_base_/distillers/cwd_seg.py']

model = dict(distiller=_base_.distiller)
