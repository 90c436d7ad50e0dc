# Copyright (c) mmdiffkd contributors.
"""What `tools/train.py` adds to any config."""

import pytest
from mmengine.config import Config

from mmdiffkd.engine.reliable_hooks import make_reliable
from mmdiffkd.utils import UserError


def config(**kwargs):
    return Config(
        dict(
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=3)
            ),
            custom_hooks=[dict(type='EMAHook')],
            train_dataloader=dict(
                sampler=dict(type='InfiniteSampler', shuffle=True)
            ),
            **kwargs,
        )
    )


def names(cfg):
    return [hook.type for hook in cfg.get('custom_hooks', [])]


def test_a_stock_config_gets_everything_and_keeps_its_settings():
    cfg = config()
    message = make_reliable(cfg)
    assert cfg.default_hooks.checkpoint == dict(
        type='mmdiffkd.AtomicCheckpointHook', interval=3
    )
    assert names(cfg) == [
        'EMAHook',
        'mmdiffkd.RNGStateHook',
        'mmdiffkd.LoopStateHook',
        'mmdiffkd.PreemptionHook',
    ]
    assert cfg.train_dataloader.sampler == dict(
        type='mmdiffkd.SeededSampler',
        sampler=dict(type='InfiniteSampler', shuffle=True),
    )
    assert 'AtomicCheckpointHook' in message and 'reliable=False' in message


def test_a_second_time_adds_nothing():
    cfg = config()
    make_reliable(cfg)
    once = cfg.to_dict()
    assert 'nothing to add' in make_reliable(cfg)
    assert cfg.to_dict() == once


def test_it_can_be_switched_off():
    cfg = config(reliable=False)
    before = cfg.to_dict()
    assert 'off' in make_reliable(cfg)
    assert cfg.to_dict() == before


def test_parts_can_be_switched_off():
    cfg = config(reliable=dict(sample_seeds=False, rng_state=False))
    make_reliable(cfg)
    assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'
    assert 'mmdiffkd.RNGStateHook' not in names(cfg)
    assert 'mmdiffkd.LoopStateHook' in names(cfg)


def test_without_atomic_checkpoints_there_is_no_preemption():
    cfg = config(reliable=dict(checkpoint=False))
    make_reliable(cfg)
    assert 'mmdiffkd.PreemptionHook' not in names(cfg)


def test_the_users_own_hooks_stay():
    cfg = config()
    cfg.default_hooks.checkpoint.type = 'mmyolo.CheckpointHook'
    cfg.custom_hooks.append(dict(type='mmdiffkd.RNGStateHook'))
    make_reliable(cfg)
    assert cfg.default_hooks.checkpoint.type == 'mmyolo.CheckpointHook'
    assert names(cfg).count('mmdiffkd.RNGStateHook') == 1


def test_a_config_without_hooks():
    """MMEngine would save each epoch."""
    cfg = Config(dict(train_dataloader=None))
    make_reliable(cfg)
    assert cfg.default_hooks.checkpoint == dict(
        type='mmdiffkd.AtomicCheckpointHook', interval=1
    )


def test_no_checkpoints_were_wanted():
    cfg = Config(dict(default_hooks=dict(checkpoint=None)))
    make_reliable(cfg)
    assert cfg.default_hooks.checkpoint is None


def test_what_cannot_be_resumed_exactly_is_named():
    cfg = config()
    assert 'not exact' not in make_reliable(cfg)
    cfg.train_dataloader.dataset = dict(
        pipeline=[dict(type='mmdet.CachedMosaic')]
    )
    assert 'CachedMosaic remembers' in make_reliable(cfg)


def test_what_cannot_be_resumed_at_all_is_named():
    cfg = config()
    assert 'cannot be resumed' not in make_reliable(cfg)
    cfg.default_hooks.checkpoint.save_optimizer = False
    assert 'save_optimizer=False what a run has saved' in make_reliable(cfg)


@pytest.mark.parametrize(
    'value, match',
    [
        ('no', 'True, False or a dict'),
        (dict(samples=False), "no part 'samples'.*sample_seeds"),
    ],
)
def test_mistakes(value, match):
    with pytest.raises(UserError, match=match):
        make_reliable(config(reliable=value))
