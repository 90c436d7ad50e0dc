# Copyright (c) mmdiffkd contributors.
"""A run whose config leaves the widths out, beside one that has them."""

import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdiffkd.visualization.run_log import read_scalars

TOOLS = Path(__file__).resolve().parents[2] / 'tools'

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def left_out(tiny, process, tmp_path_factory):
    folder = tmp_path_factory.mktemp('left_out')
    config = folder / 'distill.py'
    with open(tiny.distill) as file:
        text = file.read().replace("'student.py'", repr(tiny.student))
    config.write_text(
        re.sub(
            r"(DiffKDConnector'),\s+student_ch.*\s+teacher_ch.*16", r'\1', text
        )
    )
    assert 'channels=16' not in config.read_text()
    command = [sys.executable, TOOLS / 'train.py', config, '--seed', 1]
    run = process(*command, '--work-dir', folder / 'run')
    assert run.returncode == 0, run.stderr[-4000:]
    assert 'diff_p3: student_channels=16, teacher_channels=16' in run.stdout
    return folder / 'run'


def test_losses_and_checkpoint_are_those_of_explicit_numbers(
    distilled, left_out
):
    one, other = (
        torch.load(run / 'epoch_1.pth', weights_only=False)
        for run in (distilled, left_out)
    )
    for part in ('state_dict', 'ema_state_dict'):
        assert list(one[part]) == list(other[part])
        for key, value in one[part].items():
            assert torch.equal(value, other[part][key]), key
    logs = [
        read_scalars(str(next(run.glob('*/vis_data/scalars.json'))))
        for run in (distilled, left_out)
    ]
    losses = [
        [{k: v for k, v in line.items() if 'loss' in k} for line in log]
        for log in logs
    ]
    assert losses[0] == losses[1] and losses[0]


def test_dumped_configs_and_checkpoint_hold_what_was_found(left_out):
    meta = torch.load(left_out / 'epoch_1.pth', weights_only=False)['meta']
    texts = [
        meta['cfg'],
        (left_out / 'distill.py').read_text(),
        next(left_out.glob('*/vis_data/config.py')).read_text(),
    ]
    for text in texts:
        cfg = Config.fromstring(text, '.py')
        connector = cfg.model.distiller.connectors.diff_p3
        assert connector.student_channels == 16
        assert connector.teacher_channels == 16
