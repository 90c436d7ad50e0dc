# Copyright (c) mmdiffkd contributors.
"""What the pages say about classification holds."""

import copy
import re

import pytest
from helpers import cls_tiny as tiny
from helpers.paper_pairs import of_papers
from mmengine.config import Config

from mmdiffkd.models.backbones.cifar_zoo import CRD_ZOO
from mmdiffkd.models.distillers.pairs import expand_distiller

README = (tiny.CLS / 'README.md').read_text()
GUIDE = (tiny.ROOT / 'docs/en/configs.md').read_text()
# Name of a baseline, and of the model in the zoo that is converted.
ZOO = {
    'wrn40-2': 'wrn_40_2',
    'wrn40-1': 'wrn_40_1',
    'resnet56': 'resnet56',
    'resnet20': 'resnet20',
    'resnet32x4': 'resnet32x4',
    'resnet8x4': 'resnet8x4',
    'resnet50': 'ResNet50',
    'mobilenet-v2': 'MobileNetV2',
    'shufflenet-v1': 'ShuffleV1',
    'shufflenet-v2': 'ShuffleV2',
}


def test_the_guides_pair_of_ones_own_builds(tmp_path):
    section = GUIDE.split('\n## Classification\n')[1].split('\n## ')[0]
    (block,) = re.findall(r'```python\n(.*?)```', section, flags=re.S)
    (tmp_path / 'own.py').write_text(block)
    cfg = Config.fromfile(tmp_path / 'own.py')
    cfg.model.teacher_ckpt = None
    cfg.model.allow_random_teacher = True
    model = tiny.build(cfg).train()
    losses = tiny.losses(model, tiny.batch((64, 64)))
    assert 'distill.diff_feature.loss_ae' in losses


@pytest.mark.parametrize('name', list(ZOO))
def test_cifar_baseline_is_the_network_of_the_zoo(name):
    """So that a converted file fits."""
    cfg = tiny.load(f'baselines/{name}_cifar100.py')
    converted = dict(CRD_ZOO[ZOO[name]].backbone)
    ours = dict(cfg.model.backbone)
    for backbone in (ours, converted):
        backbone['type'] = backbone['type'].split('.')[-1]
        if backbone['type'] == 'CIFARResNet':  # with the default's value
            backbone.setdefault('channels', (16, 16, 32, 64))
            backbone.setdefault('shortcut', 'B')
            backbone['channels'] = tuple(backbone['channels'])
    assert ours == converted


def test_readme_names_the_files_that_the_configs_want():
    rows = dict(
        re.findall(r'\| `(\w+)` \| `(checkpoints/\w+\.pth)` \|', README)
    )
    wanted = set()
    for path in tiny.CLS.glob('*_cifar100.py'):
        model = tiny.read(path).model
        name = re.search(r'baselines/(.*)_cifar100', model.teacher.cfg_path)[1]
        assert rows[ZOO[name]] == model.teacher_ckpt
        wanted.add(model.teacher_ckpt)
    assert wanted == set(rows.values())


@pytest.mark.parametrize(
    'name', sorted(path.name for path in tiny.CLS.glob('dist_*.py'))
)
def test_kd_is_one_base_away_from_dist(name, tmp_path):
    """As the page says, and nothing but the distiller changes."""
    text, count = re.subn(
        r'dist_cls\.py', 'kd_cls.py', (tiny.CLS / name).read_text()
    )
    text = re.sub(r'_base_\.distiller\.pairs\.dist\..*', '', text)
    assert count == 1
    text = text.replace("'baselines/", f"'{tiny.CLS}/baselines/")
    text = text.replace("'../_base_/", f"'{tiny.CLS.parent}/_base_/")
    (tmp_path / 'kd.py').write_text(text)
    dist, kd = (
        copy.deepcopy(cfg).to_dict()
        for cfg in (
            tiny.read(tiny.CLS / name),
            Config.fromfile(tmp_path / 'kd.py'),
        )
    )
    assert list(kd['model']['distiller']['pairs']) == ['kd']
    for cfg in (dist, kd):
        del cfg['distiller'], cfg['model']['distiller']
    assert kd == dist


@pytest.mark.parametrize(
    'name',
    sorted(path.name for path in of_papers(tiny.CLS.glob('diffkd*.py'))),
)
def test_pairs_follow_the_paper(name):
    """All weights are 1; MSE and KL, DIST for the dagger; latent widths."""
    distiller = expand_distiller(tiny.load(name).model.distiller)
    feature, logits = (
        distiller.connectors[key] for key in ('diff_feature', 'diff_logits')
    )
    assert feature.diffusion_loss_weight == logits.diffusion_loss_weight == 1
    assert feature.autoencoder_loss_weight == 1
    assert feature.latent_channels == (
        None if 'cifar100' in name else 768 if 'swin-l' in name else 1024
    )
    assert logits.get('latent_channels') is None
    assert logits.denoiser == dict(type='MLPDenoiser')
    losses = distiller.distill_losses
    assert losses.loss_kd_feature.type == 'mmrazor.L2Loss'
    assert losses.loss_kd_logits.type == (
        'mmdiffkd.DISTLoss'
        if name.startswith('diffkd-dist')
        else 'mmdiffkd.KLDivergence'
    )
    for loss in losses.values():
        assert loss.loss_weight == 1 and loss.get('tau', 1) == 1
