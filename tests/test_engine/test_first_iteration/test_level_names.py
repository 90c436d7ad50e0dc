# Copyright (c) mmdiffkd contributors.
"""Levels under other names than those of their strides."""

import copy

import pytest
from helpers import toys

from mmdiffkd.engine.first_iteration.level_names import misnamed_levels


def told(*names):
    """What is told of pairs of the strides 8, 16 and 32 under some names."""
    cfg = toys.algorithm(distiller=toys.pairs())
    levels = ['p3', 'p4', 'p5']
    pairs = cfg['distiller']['pairs']
    one = dict(pairs.pop('kd'), connector_name=None, levels=None)
    one = {k: v for k, v in one.items() if v is not None}
    for name, level in zip(names, levels):
        pairs[name] = dict(copy.deepcopy(one), data_idx=levels.index(level))
    model = toys.build(cfg)
    seen = []

    def look():
        seen.extend(misnamed_levels(model.distiller, 128))
        return {}

    model.distiller.compute_distill_losses = look
    toys.losses(model, toys.batch(size=(128, 128)))
    return seen


@pytest.mark.parametrize(
    'names, expected',
    [
        (('kd_p3', 'kd_p4', 'kd_p5'), []),
        (('kd_p3', 'kd_p5'), ['kd_p5 sees P4']),
        (('a', 'b'), []),
        # Who begins with p1 counts pairs.
        (('kd_p1', 'kd_p2', 'kd_p3'), []),
    ],
)
def test_levels_against_their_strides(names, expected):
    assert told(*names) == expected
