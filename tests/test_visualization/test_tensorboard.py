# Copyright (c) mmdiffkd contributors.
"""The set-up environment has what ``TensorboardVisBackend`` needs."""

import numpy as np
from mmengine.visualization import Visualizer
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)


def test_scalars_and_pictures_reach_tensorboard(tmp_path):
    visualizer = Visualizer(
        vis_backends=[dict(type='TensorboardVisBackend')],
        save_dir=str(tmp_path),
    )
    visualizer.add_scalar('distill.loss_kd_p3', 0.5, step=3)
    visualizer.add_image('features', np.zeros((8, 8, 3), np.uint8), step=3)
    visualizer.close()
    (path,) = tmp_path.rglob('events.out.tfevents.*')
    events = EventAccumulator(str(path)).Reload()
    (scalar,) = events.Scalars('distill.loss_kd_p3')
    assert (scalar.step, scalar.value) == (3, 0.5)
    (picture,) = events.Images('features')
    assert picture.step == 3
