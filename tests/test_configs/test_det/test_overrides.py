# Copyright (c) mmdiffkd contributors.
"""What docs/en/configs.md says about changing a config holds.

The commands and config excerpts are read from the page itself.
"""

import argparse
import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.utils import get_installed_path

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.registry import MODELS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / 'docs/en/configs.md').read_text()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', PAGE, flags=re.S)


def load_command(text):
    """Apply a documented ``--cfg-options`` as a shell would pass it."""
    text = re.sub(r'^# .*\n', '', text)  # says what the command needs
    expanded = subprocess.run(
        ['bash', '-c', f'echo {text}'],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args(shlex.split(expanded)[2:])
    cfg = Config.fromfile(ROOT / args.config)
    names = set(cfg.to_dict())
    connectors = set(expand_distiller(cfg.model.distiller).connectors)
    cfg.merge_from_dict(args.cfg_options)
    # Nothing was added beside what the config had: no name was mistyped.
    assert set(cfg.to_dict()) == names
    cfg.model.distiller = expand_distiller(cfg.model.distiller)
    assert set(cfg.model.distiller.connectors) == connectors
    return cfg


def load_excerpt(text, tmp_path):
    """Read a documented child config, on top of the checkout's file."""
    base = ROOT / 'configs/det/diffkd_retina_r101_r50.py'
    text = re.sub(r'_base_ = .*', '', text)
    (tmp_path / 'child.py').write_text(f'_base_ = {str(base)!r}\n{text}')
    cfg = Config.fromfile(tmp_path / 'child.py')
    cfg.model.distiller = expand_distiller(cfg.model.distiller)
    return cfg


def pyramid_losses(distiller):
    losses = [
        loss
        for name, loss in distiller.distill_losses.items()
        if name.startswith('loss_kd_p')
    ]
    assert len(losses) == 5
    return losses


def commands_with(word):
    found = [text for text in blocks('bash') if word in text]
    assert len(found) == 1
    return found[0]


def test_command_changes_every_level():
    cfg = load_command(commands_with('loss_weight=10 '))
    losses = pyramid_losses(cfg.model.distiller)
    assert [loss.loss_weight for loss in losses] == [10] * 5
    for connector in cfg.model.distiller.connectors.values():
        assert connector.with_cp is True


def test_command_selects_the_released_recipe_on_every_level():
    cfg = load_command(commands_with('recipe'))
    base = Config.fromfile(ROOT / 'configs/_base_/distillers/diffkd_retina.py')
    ours = expand_distiller(base.distiller)
    for connector in cfg.model.distiller.connectors.values():
        assert connector.pop('recipe') == 'released'
    assert cfg.model.distiller.to_dict() == ours.to_dict()


def test_command_reaches_the_student():
    cfg = load_command(commands_with('num_classes'))
    assert cfg.model.architecture.bbox_head.num_classes == 3
    assert cfg.train_dataloader.batch_size == 4


def test_child_config_changes_every_level(tmp_path):
    (text,) = [b for b in blocks('python') if 'loss_weight=10.0' in b]
    distiller = load_excerpt(text, tmp_path).model.distiller
    for loss in pyramid_losses(distiller):
        assert loss.type == 'mmrazor.L2Loss' and loss.loss_weight == 10.0


def test_child_config_swaps_the_loss(tmp_path):
    (text,) = [b for b in blocks('python') if 'ChannelWise' in b]
    distiller = load_excerpt(text, tmp_path).model.distiller
    assert list(distiller.loss_forward_mappings) == list(
        distiller.distill_losses
    )
    for loss in pyramid_losses(distiller):
        assert loss == dict(type='mmrazor.ChannelWiseDivergence')
    for mapping in distiller.loss_forward_mappings.values():
        assert set(mapping) == {'preds_S', 'preds_T'}


def test_documented_pairs_of_three_levels_are_a_distiller(tmp_path):
    (text,) = [b for b in blocks('python') if 'student_channels=96' in b]
    (tmp_path / 'three.py').write_text(text)
    built = MODELS.build(Config.fromfile(tmp_path / 'three.py').distiller)
    assert list(built.connectors) == ['kd_p3', 'kd_p4', 'kd_p5']
    assert list(built.distill_losses) == [
        f'loss_{name}' for name in built.connectors
    ]


def test_documented_teacher_of_two_stages_is_paired_by_name(tmp_path):
    (text,) = [b for b in blocks('python') if 'teacher=dict(outputs' in b]
    distiller = load_excerpt(textwrap.dedent(text), tmp_path).model.distiller
    assert list(distiller.connectors) == [f'diff_p{p}' for p in range(3, 7)]
    for p in range(3, 7):
        sides = distiller.connector_forward_mappings[f'diff_p{p}']
        assert sides.s_feature.data_idx == p - 3
        assert sides.t_feature.data_idx == p - 2


def test_top_level_distiller_is_only_a_template():
    cfg = Config.fromfile(ROOT / 'configs/det/diffkd_retina_r101_r50.py')
    before = cfg.model.to_dict()
    cfg.merge_from_dict({'distiller.pairs.kd.loss.loss_weight': 99})
    assert cfg.model.to_dict() == before


def test_two_bases_for_one_key_are_refused(tmp_path):
    folder = ROOT / 'configs/_base_/distillers'
    bases = [str(folder / f'diffkd_{end}.py') for end in ('fpn', 'retina')]
    (tmp_path / 'two.py').write_text(f'_base_ = {bases!r}\n')
    with pytest.raises(KeyError, match='Duplicate key'):
        Config.fromfile(tmp_path / 'two.py')


def test_child_config_names_another_teacher(tmp_path):
    (text,) = [b for b in blocks('python') if 'retinanet_r101.py' in b]
    zoo = Path(get_installed_path('mmdet')) / '.mim/configs'
    own = tmp_path / 'teacher.py'
    Config.fromfile(zoo / 'retinanet/retinanet_r101_fpn_2x_coco.py').dump(own)
    text = re.sub("cfg_path='.*?'", f'cfg_path={str(own)!r}', text)
    cfg = load_excerpt(text, tmp_path)
    assert cfg.model.teacher_ckpt == 'work_dirs/teacher/epoch_24.pth'

    cfg.model.teacher_ckpt = None
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    assert model.teacher.backbone.depth == 101
    assert model.teacher.bbox_head.num_classes == 3
    assert model.architecture.bbox_head.num_classes == 80
