# Copyright (c) mmdiffkd contributors.
from .diffusion_pretraining import DiffusionPretraining
from .frozen_teacher_distill import FrozenTeacherDistill

__all__ = ['DiffusionPretraining', 'FrozenTeacherDistill']
