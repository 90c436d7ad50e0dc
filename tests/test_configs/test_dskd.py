# Copyright (c) mmdiffkd contributors.
"""In every DSKD config the guiding head is the one behind the feature.

That the configs train is checked with all others of their folder.
"""

import copy
import functools
from pathlib import Path

import pytest
import torch
from helpers import task_toys
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdiffkd.models.algorithms.teacher_builder import build_teacher
from mmdiffkd.registry import MODELS

ROOT = Path(__file__).parents[2]
PATHS = sorted(
    path
    for path in ROOT.glob('configs/**/*dskd*.py')
    if '_base_' not in path.parts
)
TASKS = dict(mmdet='det', mmseg='seg', mmpretrain='cls')
# Teachers of full size.
LARGE = ('in1k', 'deeplabv3', 'retina_r101')
load = functools.lru_cache(maxsize=None)(Config.fromfile)


def marked(path):
    slow = any(word in path.stem for word in LARGE)
    return pytest.param(
        path, id=path.stem, marks=pytest.mark.slow if slow else ()
    )


@pytest.mark.parametrize('path', [marked(path) for path in PATHS])
def test_head_scores_the_recorded_feature_as_the_teacher_does(path):
    torch.manual_seed(0)
    cfg = copy.deepcopy(load(path))
    task = TASKS[cfg.default_scope]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        teacher = build_teacher(cfg.model.teacher).model
        teacher.eval()
        distiller = MODELS.build(cfg.model.distiller)
        distiller.prepare_from_teacher(teacher)
    scores = []
    heads = {}
    for name, connector in distiller.connectors.items():
        head = connector.teacher_head
        assert connector.diffusion.teacher_channels == (
            distiller.distill_losses[f'loss_{name}'].channels
        )
        heads[name] = head
    head.modules[-1].register_forward_hook(
        lambda m, args, out: scores.append(out)
    )
    size = (32, 32) if 'cifar' in path.stem else (64, 64)
    data = task_toys.batch(task, size=size)
    with torch.no_grad(), distiller.teacher_recorders:
        data = teacher.data_preprocessor(data, False)
        teacher(data['inputs'], data['data_samples'], mode='tensor')
    own = list(scores)
    assert len(own) >= len(heads) and own[0].std() > 0
    for i, (name, head) in enumerate(heads.items()):
        record = distiller.connector_forward_mappings[name]['t_feature']
        feature = distiller.get_record(**record)
        ours = head.logits(feature)
        torch.testing.assert_close(ours.flatten(1), own[i].flatten(1))


def test_pairs_are_found():
    assert {path.parent.name for path in PATHS} == {
        'cls',
        'demo',
        'det',
        'seg',
    }
    assert len(PATHS) >= 13


def test_ablations_of_the_demo_are_single_leaves():
    text = (ROOT / 'configs/demo/cifar10_dskd.py').read_text()
    leaves = {
        'model.distiller.pairs.dskd_feature.connector.guidance.scale': 0,
        'model.distiller.pairs.dskd_feature.loss.hash_weight': 0,
    }
    cfg = copy.deepcopy(load(ROOT / 'configs/demo/cifar10_dskd.py'))
    before = cfg.to_dict()
    for leaf in leaves:
        assert f'{leaf}=0' in text
        node = before
        for key in leaf.split('.'):
            node = node[key]
        assert node > 0, 'exists, and is on'
    cfg.merge_from_dict(leaves)
    distiller = MODELS.build(cfg.model.distiller)
    assert distiller.connectors['dskd_feature']._guide(None, None) is None
