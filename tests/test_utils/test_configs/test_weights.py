# Copyright (c) mmdiffkd contributors.
"""What names weights goes, and nothing else."""

import pytest
from mmengine.config import ConfigDict

from mmdiffkd.utils.configs.weights import without_weights


@pytest.mark.parametrize(
    'named',
    [
        dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://x')),
        dict(teacher_ckpt='https://x/y.pth'),
        dict(pretrained='open-mmlab://x'),
        dict(pretrained=True),
    ],
)
def test_what_names_weights_goes_at_any_depth(named):
    cfg = ConfigDict(backbone=dict(depth=18, **named), heads=[dict(named)])
    found = without_weights(cfg)
    assert found == dict(backbone=dict(depth=18), heads=[{}])
    assert isinstance(found.backbone, ConfigDict)
    assert cfg.backbone.keys() > {'depth'}  # the caller's is left alone


@pytest.mark.parametrize(
    'kept',
    [
        dict(init_cfg=dict(type='Normal', std=0.1)),
        dict(pretrained=False),
        dict(pretrained=None),
        dict(name='x.pth.tar.gz'),
    ],
)
def test_all_else_stays(kept):
    assert without_weights([dict(kept)]) == [kept]
