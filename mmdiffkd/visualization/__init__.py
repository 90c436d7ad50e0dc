# Copyright (c) mmdiffkd contributors.
from .detections import DetectionView
from .labels import ClassificationView
from .report import Measured, Report, read_measured
from .run_log import RunLog, read_metrics, read_run, read_scalars
from .segments import SegmentationView
from .task_view import TaskView

# How a report shows each task of the demo.
VIEWS = dict(det=DetectionView, seg=SegmentationView, cls=ClassificationView)

__all__ = [
    'VIEWS',
    'ClassificationView',
    'DetectionView',
    'Measured',
    'Report',
    'RunLog',
    'SegmentationView',
    'TaskView',
    'read_measured',
    'read_metrics',
    'read_run',
    'read_scalars',
]
