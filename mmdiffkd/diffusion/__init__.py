# Copyright (c) mmdiffkd contributors.
"""The diffusion core: plain PyTorch, one idea a file."""

from .autoencoder import LinearAutoencoder
from .ddim_sampler import DDIMSampler
from .denoisers import BottleneckDenoiser, MLPDenoiser
from .feature_diffusion import FeatureDiffusion
from .feature_mimicking import FeatureMimicking
from .feature_pair import FeaturePair
from .feature_scale import FeatureScale
from .guidance import ClassifierGuidance
from .iteration_count import IterationCount
from .noise_matching import AdaptiveNoiseMatching
from .noise_schedule import NoiseSchedule
from .noise_source import NoiseDraw, NoiseSource, noise_sources
from .paired_output import PairedOutput
from .recipes import RECIPES
from .self_diffusion import SelfDiffusion
from .student_noise_level import StudentNoiseLevel
from .teacher_diffusion import TeacherDiffusion

__all__ = [
    'RECIPES',
    'AdaptiveNoiseMatching',
    'BottleneckDenoiser',
    'ClassifierGuidance',
    'DDIMSampler',
    'FeatureDiffusion',
    'FeatureMimicking',
    'FeaturePair',
    'FeatureScale',
    'IterationCount',
    'LinearAutoencoder',
    'MLPDenoiser',
    'NoiseDraw',
    'NoiseSchedule',
    'NoiseSource',
    'PairedOutput',
    'SelfDiffusion',
    'StudentNoiseLevel',
    'TeacherDiffusion',
    'noise_sources',
]
