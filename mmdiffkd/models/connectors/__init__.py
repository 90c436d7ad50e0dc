# Copyright (c) mmdiffkd contributors.
from .diffkd_connector import DiffKDConnector
from .diffusion_connector import DiffusionConnector
from .dskd_connector import DSKDConnector
from .mimic_connector import MimicConnector
from .paired_connector import PairedConnector

__all__ = [
    'DSKDConnector',
    'DiffKDConnector',
    'DiffusionConnector',
    'MimicConnector',
    'PairedConnector',
]
