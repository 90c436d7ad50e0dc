# Copyright (c) mmdiffkd contributors.
# Swin-T alone: 81.3 top-1 in the paper.
_base_ = [
    # Label smoothing 0.1, Mixup and CutMix, drop path 0.2.
    'mmpretrain::_base_/models/swin_transformer/tiny_224.py',
    '../../_base_/schedules/b3_imagenet.py',
]
