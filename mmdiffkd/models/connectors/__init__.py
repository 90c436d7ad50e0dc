# Copyright (c) mmdiffkd contributors.
from .diffkd_connector import DiffKDConnector
from .paired_connector import PairedConnector

__all__ = ['DiffKDConnector', 'PairedConnector']
