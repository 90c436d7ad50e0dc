# Copyright (c) mmdiffkd contributors.
"""What CONTRIBUTING.md shows works as it stands there."""

import re
from pathlib import Path

import pytest
import torch

from mmdiffkd.models.distillers.pairs import expand_pairs
from mmdiffkd.registry import MODELS

TEXT = (Path(__file__).parents[1] / 'CONTRIBUTING.md').read_text()


@pytest.fixture
def my_loss():
    (code,) = re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL)
    space = dict(__name__='mmdiffkd.models.losses.my_loss')
    exec(code, space)
    yield space['MyLoss']
    MODELS.module_dict.pop('MyLoss')


def test_a_distance_is_one_file_and_a_key(my_loss):
    student, teacher = torch.randn(2, 2, 3, 4, 5)
    loss = MODELS.build(dict(type='mmdiffkd.MyLoss', loss_weight=2.0))
    expected = 2 * (student - teacher).abs().mean()
    torch.testing.assert_close(loss(student, teacher), expected)
    dicts = expand_pairs(
        dict(kd=dict(source='neck', loss=dict(type='mmdiffkd.MyLoss')))
    )
    (mapping,) = dicts['loss_forward_mappings'].values()
    assert {key: side['from_student'] for key, side in mapping.items()} == {
        's_feature': True,
        't_feature': False,
    }
