# Copyright (c) mmdiffkd contributors.
"""The diffusion core: plain PyTorch, one idea a file."""
from .autoencoder import LinearAutoencoder
from .ddim_sampler import DDIMSampler
from .denoisers import BottleneckDenoiser, MLPDenoiser
from .feature_diffusion import RECIPES, FeatureDiffusion
from .noise_matching import AdaptiveNoiseMatching
from .noise_schedule import NoiseSchedule
from .noise_source import NoiseDraw, NoiseSource
from .paired_output import PairedOutput

__all__ = [
    'RECIPES', 'AdaptiveNoiseMatching', 'BottleneckDenoiser', 'DDIMSampler',
    'FeatureDiffusion', 'LinearAutoencoder', 'MLPDenoiser', 'NoiseDraw',
    'NoiseSchedule', 'NoiseSource', 'PairedOutput'
]
