# Copyright (c) mmdiffkd contributors.
# Channel-wise distillation (CWD), weighted as in
# MMRazor's own FPN config.
_base_ = ['./_base_/bccd_distill.py', '../_base_/distillers/cwd_fpn.py']

model = dict(distiller=_base_.distiller)
