# Copyright (c) mmdiffkd contributors.
"""A config means the same whether it is inherited by its name or as a file."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdiffkd.engine.prepare import _own_copy
from mmdiffkd.utils.configs.injected_scope import drop_injected_scope
from mmdiffkd.utils.configs.loading import load_config

CONFIGS = Path(__file__).parents[3] / 'configs'
NAMES = [
    'cls/diffkd_r34_r18_b1_in1k.py',
    'demo/bccd_mimic.py',
    'demo/cifar16_mimic_kd.py',
    'demo/digits_cls_student.py',
    'demo/digits_diffkd_retina.py',
    'demo/digits_seg_student.py',
    'det/diffkd_retina_r101_r50.py',
    'seg/diffkd_deeplabv3_r101_deeplabv3_r18.py',
]


@pytest.mark.parametrize('name', NAMES)
def test_by_name_and_as_a_file_it_is_the_same(name, tmp_path, monkeypatch):
    for variable in ('BCCD_ROOT', 'MOBILENET_V2'):
        monkeypatch.setenv(variable, '/nowhere')
    found = []
    for base in (f'mmdiffkd::{name}', str(CONFIGS / name)):
        path = tmp_path / 'own.py'
        path.write_text(f'_base_ = {base!r}\n')
        found.append(load_config(str(path)).to_dict())
    assert found[0] == found[1]


def test_classes_of_this_package_keep_their_scope():
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(
                _scope_='mmdiffkd',
                type='DiffKDConnector',
                inner=dict(_scope_='mmdiffkd', type='ImageClassifier'),
                listed=[dict(_scope_='mmdiffkd', type='mmcls.ImageNet')],
                other=dict(_scope_='mmdet', type='RetinaNet'),
            ),
        )
    )
    drop_injected_scope(cfg)
    assert cfg.model._scope_ == 'mmdiffkd'
    assert '_scope_' not in cfg.model.inner
    assert '_scope_' not in cfg.model.listed[0]
    assert cfg.model.other._scope_ == 'mmdet'
    alone = Config(dict(model=dict(_scope_='mmdiffkd', type='Anything')))
    drop_injected_scope(alone)
    assert alone.model._scope_ == 'mmdiffkd'


def test_a_config_that_was_read_by_mmengine_is_prepared_alike(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("_base_ = 'mmdiffkd::demo/digits_cls_student.py'\n")
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.dataset._scope_ == 'mmdiffkd'
    own, _ = _own_copy(cfg, None)
    assert '_scope_' not in own.train_dataloader.dataset
    assert cfg.train_dataloader.dataset._scope_ == 'mmdiffkd'
