# Copyright (c) mmdiffkd contributors.
"""The configs work on a checkout of MMDetection instead of ``mmdet::``.

MMEngine stamps ``_scope_='mmdet'`` on what it reads from ``mmdet::``, but not
on what it reads from a file.
"""

import re
from pathlib import Path

import pytest
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.utils import get_installed_path

from mmdiffkd.registry import MODELS

ROOT = Path(__file__).parents[3]
DET = sorted(ROOT.glob('configs/det/*.py'))


def with_local_base(path, folder):
    """The config with files, not scopes, as its ``_base_`` and teacher."""
    library = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
    text = path.read_text()
    text = text.replace("'../_base_", f"'{ROOT.as_posix()}/configs/_base_")
    text = text.replace('mmdet::', f'{library.as_posix()}/')
    local = folder / 'local.py'
    local.write_text(text)
    return local


def without_scopes(node):
    if isinstance(node, dict):
        return {
            key: without_scopes(value)
            for key, value in node.items()
            if key != '_scope_'
        }
    if isinstance(node, (list, tuple)):
        return type(node)(without_scopes(value) for value in node)
    return node


@pytest.mark.parametrize('path', DET, ids=lambda path: path.stem)
def test_local_base_gives_the_same_config(path, tmp_path):
    local = Config.fromfile(with_local_base(path, tmp_path)).to_dict()
    installed = Config.fromfile(path).to_dict()
    name = re.sub(
        '.*configs/', 'mmdet::', local['model']['teacher']['cfg_path']
    )
    local['model']['teacher']['cfg_path'] = name
    assert without_scopes(local) == without_scopes(installed)
    assert '_scope_' not in local['model']
    assert '_scope_' not in local['model']['architecture']
    assert local['model']['distiller']['_scope_'] == 'mmrazor'


def test_local_base_trains(tmp_path):
    path = ROOT / 'configs/det/diffkd_retina_r101_r50.py'
    cfg = Config.fromfile(with_local_base(path, tmp_path))
    cfg.model.architecture.backbone.init_cfg = None
    cfg.model.teacher_ckpt = None
    cfg.model.allow_random_teacher = True
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).train()
    batch = demo_mm_inputs(2, [(3, 96, 128)] * 2, num_classes=80)
    logged = model.train_step(
        batch, build_optim_wrapper(model, cfg.optim_wrapper)
    )
    assert 'student.loss_cls' in logged and 'distill.loss_kd_p7' in logged
