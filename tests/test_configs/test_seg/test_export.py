# Copyright (c) mmdiffkd contributors.
"""An exported segmentor opens in stock MMSegmentation."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import seg_tiny as tiny

from mmdiffkd.utils.checkpoints.export import export_student

# The library needs a first argument, None for: as the file says.
INFER = """
import sys
from mmseg.apis import MMSegInferencer
inferencer = MMSegInferencer(None, weights=sys.argv[1], device='cpu')
sample = inferencer(sys.argv[2], return_datasamples=True)
assert 'mmdiffkd' not in sys.modules and 'mmrazor' not in sys.modules
print(tuple(sample.pred_sem_seg.data.shape), *sample.seg_logits.data.shape)
print(inferencer.model.dataset_meta['classes'][:2])
"""


@pytest.mark.slow
def test_student_with_synchronised_norms_opens_in_stock_inferencer(tmp_path):
    cfg = tiny.load(tiny.SEG / 'diffkd_deeplabv3_r101_pspnet_r18.py')
    cfg.model.teacher.cfg_options = {'model.backbone.depth': 50}
    cfg.test_dataloader.dataset.pipeline[1].scale = (64, 32)
    model = tiny.build(cfg)
    checkpoint = tmp_path / 'iter_1.pth'
    torch.save(
        dict(
            meta=dict(
                cfg=cfg.pretty_text,
                iter=1,
                dataset_meta=dict(
                    classes=tuple(f'class{i}' for i in range(19)),
                    palette=[[i, i, i] for i in range(19)],
                ),
            ),
            state_dict=model.state_dict(),
        ),
        checkpoint,
    )
    out = export_student(str(checkpoint), str(tmp_path / 'student.pth'))
    assert out.needs == []
    image = tmp_path / 'street.png'
    assert cv2.imwrite(str(image), np.zeros((40, 80, 3), np.uint8))
    run = subprocess.run(
        [sys.executable, '-c', INFER, out.path, str(image)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=540,
        env=dict(os.environ, CUDA_VISIBLE_DEVICES='', PYTHONPATH=''),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert '(1, 40, 80) 19 40 80' in run.stdout
    assert "('class0', 'class1')" in run.stdout
    assert 'do not match' not in run.stdout + run.stderr
