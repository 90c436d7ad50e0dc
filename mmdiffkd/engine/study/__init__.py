# Copyright (c) mmdiffkd contributors.
"""Compare methods fairly: tune each alike, then run each on other seeds."""

from .conduct import conduct
from .definition import DataSet, Method, Parameter, Study
from .ledger import Ledger
from .loading import load_study
from .processes import Interrupted, Tools
from .run import Run
from .tables import tables

__all__ = [
    'DataSet',
    'Interrupted',
    'Ledger',
    'Method',
    'Parameter',
    'Run',
    'Study',
    'Tools',
    'conduct',
    'load_study',
    'tables',
]
