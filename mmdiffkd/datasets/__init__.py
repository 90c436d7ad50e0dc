# Copyright (c) mmdiffkd contributors.
from .cityscapes import SEGMENTATION_CLASSES
from .demo_set import SCENES, STYLES, WRITERS, make_demo_set, read_manifest
from .digits import CLASSES, DigitPool, load_digit_pools
from .scene import Scene, SceneComposer, SceneDigit, SceneStyle

__all__ = [
    'CLASSES',
    'SCENES',
    'SEGMENTATION_CLASSES',
    'STYLES',
    'WRITERS',
    'DigitPool',
    'Scene',
    'SceneComposer',
    'SceneDigit',
    'SceneStyle',
    'load_digit_pools',
    'make_demo_set',
    'read_manifest',
]
