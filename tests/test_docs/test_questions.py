# Copyright (c) mmdiffkd contributors.
"""What the last answer of docs/en/questions.md says of ``torch.load``."""

import sys

import pytest
import torch
from mmengine.logging import HistoryBuffer

PLAIN = dict(meta={}, state_dict=dict(weight=torch.zeros(2)))
TRAINING = dict(
    PLAIN, message_hub=dict(log_scalars=dict(a=HistoryBuffer([1.0], [1])))
)


@pytest.mark.parametrize(
    'first, content, loads',
    [
        ('torch', PLAIN, True),
        ('torch', TRAINING, False),
        ('mmdiffkd', TRAINING, True),
    ],
)
def test_what_loads_by_default(
    first, content, loads, process, checkout, tmp_path
):
    torch.save(content, tmp_path / 'x.pth')
    run = process(
        sys.executable,
        '-c',
        f'import {first}, torch; torch.load("x.pth")',
        cwd=tmp_path,
    )
    assert (run.returncode == 0) == loads, run.stderr
    assert ('HistoryBuffer' in run.stderr) != loads
    answer = (checkout / 'docs/en/questions.md').read_text()
    assert '`import mmdiffkd` before `torch.load`' in answer
