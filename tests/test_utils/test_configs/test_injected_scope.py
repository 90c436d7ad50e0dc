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


def written(path, base, **model):
    """A config of that base, read."""
    path.write_text(
        f"_base_ = {base!r}\ndefault_scope = 'mmpretrain'\n"
        f'model = {dict(model)!r}\n'
    )
    return load_config(str(path))


def test_a_class_of_this_package_keeps_the_scope_that_mmengine_adds(tmp_path):
    cfg = written(
        tmp_path / 'own.py',
        'mmdiffkd::demo/digits_cls_student.py',
        head=dict(type='MimicConnector', _delete_=True),
    )
    assert cfg.model._scope_ == 'mmpretrain'
    injected = Config(cfg._cfg_dict, cfg_text=cfg.text)
    injected.model.head._scope_ = 'mmdiffkd'
    injected.model.backbone._scope_ = 'mmdiffkd'
    drop_injected_scope(injected)
    assert injected.model.head._scope_ == 'mmdiffkd'
    assert '_scope_' not in injected.model.backbone


@pytest.mark.parametrize(
    'base', [[], ['mmdiffkd::demo/digits_cls_student.py']]
)
def test_a_scope_that_was_written_stays(base, tmp_path):
    cfg = written(
        tmp_path / 'own.py',
        base,
        distiller=dict(_scope_='mmdiffkd', type='mmdiffkd.DiffKDDistiller'),
    )
    assert cfg.model.distiller._scope_ == 'mmdiffkd'


def test_a_config_that_was_read_by_mmengine_is_prepared_alike(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("_base_ = 'mmdiffkd::demo/digits_cls_student.py'\n")
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.dataset._scope_ == 'mmdiffkd'
    own, _ = _own_copy(cfg, None)
    assert '_scope_' not in own.train_dataloader.dataset
    assert cfg.train_dataloader.dataset._scope_ == 'mmdiffkd'
