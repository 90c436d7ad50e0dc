# Copyright (c) mmdiffkd contributors.
"""SyncBN in a run without GPUs."""

from mmengine.config import Config

from mmdiffkd.engine.process_group import replace_sync_bn


def test_every_sync_bn_of_the_model_becomes_bn():
    cfg = Config(
        dict(
            sync_bn='torch',
            norm_cfg=dict(type='SyncBN'),
            model=dict(
                backbone=dict(norm_cfg=dict(type='SyncBN', eps=1e-3)),
                heads=[dict(norm_cfg=dict(type='mmcv.MMSyncBN'))],
                neck=dict(norm_cfg=dict(type='GN', num_groups=2)),
            ),
        )
    )
    assert replace_sync_bn(cfg) == 2
    assert cfg.model.backbone.norm_cfg == dict(type='BN', eps=1e-3)
    assert cfg.model.heads[0].norm_cfg.type == 'BN'
    assert cfg.model.neck.norm_cfg == dict(type='GN', num_groups=2)
    assert 'sync_bn' not in cfg


def test_a_model_without_is_left_alone():
    cfg = Config(dict(model=dict(norm_cfg=dict(type='BN'))))
    before = cfg.to_dict()
    assert replace_sync_bn(cfg) == 0
    assert cfg.to_dict() == before
