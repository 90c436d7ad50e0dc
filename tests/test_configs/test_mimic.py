# Copyright (c) mmdiffkd contributors.
"""The control's configs differ from DiffKD's in the diffusion alone."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
BASES = '_base_/distillers/'
PAIRS = {
    BASES + 'mimic_tuned_fpn': BASES + 'diffkd_fpn',
    BASES + 'mimic_tuned_cls': BASES + 'diffkd_cls',
    BASES + 'mimic_tuned_seg': BASES + 'diffkd_features_seg',
    'demo/bccd_mimic': 'demo/bccd_diffkd',
    'demo/camvid_mimic': 'demo/camvid_diffkd_features',
    'demo/digits_mimic': 'demo/digits_diffkd_retina',
    'demo/cifar16_mimic': 'demo/cifar16_diffkd',
    'demo/cifar16_mimic_kd': 'demo/cifar16_diffkd_kd',
}
# Of the diffusion model, which the control lacks.
DIFFUSION = ('diffusion_loss_weight', 'denoiser')


def connectors(cfg):
    """The distiller's connectors, taken out of the config."""
    base = cfg.pop('distiller', None)  # some configs carry their base's
    if 'model' not in cfg:
        cfg.distiller = base
    cfg = cfg.get('model', cfg)
    cfg.distiller = expand_distiller(cfg.distiller)
    return cfg.distiller.pop('connectors')


@pytest.mark.parametrize('control', PAIRS)
def test_control_is_diffkd_without_diffusion(control):
    ours, theirs = (
        Config.fromfile(CONFIGS / f'{name}.py')
        for name in (control, PAIRS[control])
    )
    mimic, diffkd = connectors(ours), connectors(theirs)
    assert ours.to_dict() == theirs.to_dict()
    assert list(mimic) == list(diffkd)
    for name, cfg in diffkd.items():
        assert cfg.pop('type') == 'mmdiffkd.DiffKDConnector'
        for key in DIFFUSION:
            cfg.pop(key, None)
        assert mimic[name] == {'type': 'mmdiffkd.MimicConnector', **cfg}
        mimic[name].norm_cfg = dict(type='BN')
        MODELS.build(mimic[name])


def test_every_base_of_the_control_is_compared():
    found = {
        path.relative_to(CONFIGS).with_suffix('').as_posix()
        for pattern in ('_base_/distillers/mimic_tuned*', 'demo/*_mimic*')
        for path in CONFIGS.glob(f'{pattern}.py')
    }
    assert found == set(PAIRS)
