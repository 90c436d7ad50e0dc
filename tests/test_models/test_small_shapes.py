# Copyright (c) mmdiffkd contributors.
"""Every shipped connector and loss on a map of one pixel, and one image.

The last level of a small image is such a map. What is defined there is
returned, finite, with a finite gradient; what is not is said in one error.
"""

import copy
import inspect
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmdiffkd.models.connectors import PairedConnector
from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.utils import UserError

BASES = Path(__file__).parents[2] / 'configs/_base_/distillers'
CHANNELS = dict.fromkeys(
    ('student_channels', 'teacher_channels', 'in_channel', 'out_channel',
     'in_channels', 'out_channels', 'channels'), 8
)  # fmt: skip
CHANNELS.update(latent_channels=4, num_hashes=16)
SHAPES = [(1, 8, 1, 1), (2, 8, 1, 1), (1, 8, 1, 2), (1, 8)]
PRECISIONS = dict(float32=None, bfloat16=torch.bfloat16, float16=torch.float16)


def small(cfg):
    """The same part, narrow and for one process without a GPU."""
    if isinstance(cfg, dict):
        out = {
            key: CHANNELS[key]
            if key in CHANNELS and value is not None
            else small(value)
            for key, value in cfg.items()
            if key != 'guidance'  # it asks for a teacher's head
        }
        if out.get('type') == 'SyncBN':
            out['type'] = 'BN'
        return out
    return cfg


def shipped():
    """Each part of each base once."""
    init_default_scope('mmrazor')
    found = {}
    for path in sorted(BASES.glob('*.py')):
        cfg = expand_distiller(Config.fromfile(path).distiller.to_dict())
        for part in ('connectors', 'distill_losses'):
            for item in (cfg.get(part) or {}).values():
                item = small(item)
                found.setdefault(repr(sorted(item.items(), key=str)), item)
    # In no base: all of DiffKD behind the interface of a loss.
    for recipe in ('tuned', 'released'):
        found[recipe] = dict(
            type='mmdiffkd.DiffKDLoss',
            recipe=recipe,
            student_channels=8,
            teacher_channels=8,
        )
    return list(found.values())


def name_of(cfg):
    words = [cfg['type'].split('.')[-1]]
    words += [
        f'{k}={v}'
        for k, v in cfg.items()
        if isinstance(v, (str, bool)) and k != 'type'
    ]
    return ' '.join(words)


# MMRazor's take maps alone; that is the distiller's to say.
CASES = [
    pytest.param(cfg, shape, id=f'{name_of(cfg)}-{shape}')
    for cfg in shipped()
    for shape in SHAPES
    if len(shape) == 4 or cfg['type'].startswith('mmdiffkd.')
]


def run(module, shape, dtype):
    """Loss and gradient at the student's feature."""
    torch.manual_seed(0)
    student = torch.randn(shape, requires_grad=True)
    teacher = torch.randn(shape)
    names = [
        name
        for name in inspect.signature(module.forward).parameters
        if name != 'labels'
    ]
    values = dict(zip(names, (student, teacher)))
    if 'gt_labels' in names:
        values['gt_labels'] = torch.arange(shape[0])
    with torch.autocast('cpu', dtype=dtype, enabled=dtype is not None):
        out = module(**values)
        if isinstance(module, PairedConnector):
            loss = (out.student - out.teacher).float().pow(2).mean()
            loss = loss + sum(out.losses.values())
        elif isinstance(out, list):  # of DiffKDLoss
            loss = sum(out)
        elif out.shape:
            loss = out.float().pow(2).mean()
        else:
            loss = out
    loss.backward()
    return loss.detach(), student.grad


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('cfg, shape', CASES)
def test_finite_or_one_error(cfg, shape, precision):
    init_default_scope('mmrazor')
    module = MODELS.build(copy.deepcopy(cfg)).train()
    if hasattr(module, 'init_weights'):
        module.init_weights()
    try:
        loss, gradient = run(module, shape, PRECISIONS[precision])
    except UserError as error:
        assert 'shape' in str(error) or 'value' in str(error), error
        return
    assert math.isfinite(loss)
    assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize('precision', PRECISIONS)
@pytest.mark.parametrize('shape', [(2, 8, 1, 1), (1, 8, 2, 2), (3, 4, 5, 7)])
def test_pkd_is_mmrazors_elsewhere(shape, precision):
    """Against Pearson's coefficient, and to the bit against the original."""
    loss = MODELS.build(dict(type='mmrazor.PKDLoss'))
    torch.manual_seed(0)
    a, b = torch.randn(shape), torch.randn(shape)
    with torch.autocast(
        'cpu',
        dtype=PRECISIONS[precision] or torch.bfloat16,
        enabled=precision != 'float32',
    ):
        ours = loss(a, b)

    def standardised(x):
        x = x.permute(1, 0, 2, 3).reshape(shape[1], -1)
        x = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
        return x.reshape(shape[1], shape[0], *shape[2:]).permute(1, 0, 2, 3)

    mse = torch.nn.functional.mse_loss(standardised(a), standardised(b))
    assert torch.equal(ours, mse / 2)


def test_pkd_of_one_value_leaves_the_other_levels_alone():
    """A tuple of levels, the last of one pixel."""
    loss = MODELS.build(dict(type='mmrazor.PKDLoss', loss_weight=6.0))
    torch.manual_seed(0)
    levels = [
        tuple(torch.randn(1, 8, n, n, requires_grad=True) for n in (4, 1))
        for _ in range(2)
    ]
    both = loss(*levels)
    assert torch.equal(both, loss(levels[0][0], levels[1][0]))
    both.backward()
    assert torch.equal(levels[0][1].grad, torch.zeros(1, 8, 1, 1))
