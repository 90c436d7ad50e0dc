# Copyright (c) mmdiffkd contributors.
"""What the page of methods shows runs, and no method is missing there."""

import copy
import re

import pytest
import torch
from helpers import cls_tiny
from mmengine.config import Config

from mmdiffkd.pairing.drafts import METHODS

NAMES = ('fit', 'at', 'ab', 'mgd', 'distances', 'angles', 'wsld')


@pytest.fixture(scope='module')
def page(checkout):
    return (checkout / 'docs/en/methods.md').read_text()


@pytest.fixture(scope='module')
def pairs(page):
    """The pairs of MMRazor's losses that the page shows."""
    (code,) = re.findall(r'^```python\n(.*?)^```$', page, re.M | re.S)
    names = {}
    exec(code, names)
    return names['pairs']


def step(checkout, pair):
    """Losses of a step of a small classifier, and the student behind them."""
    cfg = copy.deepcopy(
        Config.fromfile(checkout / 'configs/demo/cifar16_kd.py')
    )
    cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    cfg.model.distiller.pairs = dict(x=pair)
    # The student's config has the preprocessor in its model.
    cfg.setdefault('data_preprocessor', None)
    model = cls_tiny.build(cfg).train()
    torch.manual_seed(0)
    found = cls_tiny.losses(model, cls_tiny.batch((16, 16), (1, 3, 5, 7)))
    return model.student, found


@pytest.mark.parametrize('name', NAMES)
def test_a_pair_of_mmrazors_reaches_the_student(name, pairs, checkout):
    student, found = step(checkout, pairs[name])
    loss = found['distill.loss_x']
    assert torch.isfinite(loss) and loss > 0
    loss.backward()
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    assert sum(g.abs().sum() for g in gradients) > 0


def test_no_pair_is_left_out(pairs):
    assert set(pairs) == set(NAMES)


def test_each_method_has_a_row_and_a_section(page):
    for mark in (r'^\| `(\w+)` \|', r'^### (\w+)$'):
        assert sorted(re.findall(mark, page, re.M)) == sorted(METHODS)
