# Copyright (c) mmdiffkd contributors.
"""The shipped distillers are those of commit 7aac653, under the same names.

Names stand in logs and checkpoints, and a checkpoint of 7aac653 must resume.
Bases that are no more come out of another by a few keys: `REPLACED_BASES`.
"""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.utils.configs.replaced_bases import REPLACED_BASES

from .pin_distillers import PARTS, state

HERE = Path(__file__).parent
CONFIGS = HERE.parents[2] / 'configs'
PINNED = json.loads((HERE / 'distillers_7aac653.json').read_text())


def expected(name):
    return {
        part: {key: PINNED['entries'][place] for key, place in value.items()}
        if part in PARTS
        else value
        for part, value in PINNED['distillers'][name].items()
    }


def today(name):
    path = CONFIGS / name
    if not path.exists():
        base, keys = REPLACED_BASES[path.stem]
        distiller = today(path.with_stem(base))
        cfg = Config(dict(distiller=distiller.to_dict()))
        cfg.merge_from_dict(
            {f'distiller.{key}': value for key, value in keys.items()}
        )
        return cfg.distiller
    cfg = Config.fromfile(path)
    return cfg.get('model', cfg).distiller


def expanded(distiller):
    """As JSON has it, without what is empty, type and scope."""
    parts = json.loads(json.dumps(expand_distiller(distiller.to_dict())))
    assert parts.pop('type') == 'mmdiffkd.DiffKDDistiller'
    assert parts.pop('_scope_') == 'mmrazor'
    return {part: value for part, value in parts.items() if value}


@pytest.mark.parametrize('name', PINNED['distillers'])
def test_distiller_is_that_of_7aac653(name):
    ours, before = expanded(today(name)), expected(name)
    assert ours == before
    for part in PARTS:  # in the same order, that of log and random numbers
        assert list(ours.get(part, ())) == list(before.get(part, ()))


def representatives():
    """A config for each state dict there is."""
    return {
        json.dumps(modules): name for name, modules in PINNED['states'].items()
    }.values()


@pytest.mark.parametrize('name', representatives())
def test_state_dict_is_that_of_7aac653(name):
    assert state(today(name)) == {
        module: PINNED['modules'][place]
        for module, place in PINNED['states'][name].items()
    }
