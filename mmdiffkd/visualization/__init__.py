# Copyright (c) mmdiffkd contributors.
from .report import Measured, Report, read_measured
from .run_log import RunLog, read_metrics, read_run, read_scalars

__all__ = [
    'Measured', 'Report', 'RunLog', 'read_measured', 'read_metrics',
    'read_run', 'read_scalars'
]
