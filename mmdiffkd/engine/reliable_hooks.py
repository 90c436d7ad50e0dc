# Copyright (c) mmdiffkd contributors.
"""What makes every run of ``mmdiffkd train`` resumable, in one place."""

from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mmdiffkd.utils.distillation import has_student, is_distillation
from mmdiffkd.utils.errors import UserError, closest

PARTS = (
    'checkpoint',
    'rng_state',
    'loop_state',
    'preemption',
    'sample_seeds',
    'student_checkpoint',
    'finite_loss',
    'sanity',
)
"""What ``reliable = dict(PART=False)`` in a config can switch off."""

_HOOKS = dict(
    rng_state='RNGStateHook',
    loop_state='LoopStateHook',
    preemption='PreemptionHook',
    student_checkpoint='StudentCheckpointHook',
    finite_loss='FiniteLossHook',
    sanity='SanityHook',
)

STATEFUL = ('CachedMosaic', 'CachedMixUp', 'BatchSyncRandomResize')
"""Parts of MMDetection that remember what no checkpoint holds."""


def make_reliable(cfg: Config) -> str:
    """Let a run save atomically, resume exactly and survive preemption.

    * ``checkpoint``: MMEngine's ``CheckpointHook`` in ``default_hooks``
      becomes ``AtomicCheckpointHook``; its settings stay.
    * ``rng_state``, ``loop_state``, ``preemption``: the hooks of these names
      are added to ``custom_hooks``, where the config has them not. So are
      ``student_checkpoint``, ``finite_loss`` and ``sanity`` if the model
      distils.
    * ``sample_seeds``: the training sampler is put into a ``SeededSampler``.

    The config's key ``reliable`` switches parts off, ``reliable = False`` all
    of them. Runners other than MMEngine's ``Runner`` are left alone.

    Args:
        cfg (Config): Config, changed in place.

    Returns:
        str: What was done, for the log.

    Raises:
        UserError: If ``reliable`` is neither a bool nor a dict of parts.
    """
    parts = _parts(cfg.get('reliable', True))
    if not parts or cfg.get('runner_type', 'Runner') != 'Runner':
        return 'reliable: off, training is as with MMEngine alone'
    done = []
    if 'checkpoint' in parts:
        done += _replace_checkpoint_hook(cfg)
    custom = list(cfg.get('custom_hooks') or [])
    present = {str(hook.get('type')).split('.')[-1] for hook in custom}
    for part, name in _HOOKS.items():
        if part == 'preemption' and not _saves_atomically(cfg):
            continue
        if not _concerns(part, cfg):
            continue
        if part in parts and name not in present:
            custom.append(dict(type=f'mmdiffkd.{name}'))
            done.append(name)
    cfg.custom_hooks = custom
    if 'sample_seeds' in parts:
        done += _seed_samples(cfg)
    return (
        'reliable: '
        + (', '.join(done) or 'nothing to add')
        + _inexact(cfg)
        + '; see docs/en/reliability.md, or reliable=False'
    )


def _parts(value: Any) -> list[str]:
    if isinstance(value, bool):
        return list(PARTS) if value else []
    if not isinstance(value, dict):
        raise UserError(
            'config key reliable must be True, False or a dict '
            f'such as dict(sample_seeds=False), not {value!r}'
        )
    for name in value:
        if name not in PARTS:
            raise UserError(
                f'config key reliable has no part {name!r}'
                f'{closest(name, PARTS)}'
            )
    return [name for name in PARTS if value.get(name, True)]


def _concerns(part: str, cfg: Config) -> bool:
    """Whether a part is for the model of a config."""
    if part in ('student_checkpoint', 'sanity'):
        return has_student(cfg)
    if part == 'finite_loss':
        return is_distillation(cfg)
    return True


def _inexact(cfg: Config) -> str:
    """Say which parts of a config keep it from resuming exactly, or at all."""
    text = str([cfg.get('model'), cfg.get('train_dataloader')])
    found = [name for name in STATEFUL if f"{name}'" in text]
    said = ''
    if found:
        said = (
            f'; {" and ".join(found)} remembers earlier images, so a resumed '
            'run is not exact'
        )
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    for key in ('save_optimizer', 'save_param_scheduler'):
        if hook.get(key) is False:
            said += (
                f'; with checkpoint.{key}=False what a run has saved cannot '
                'be resumed, but for what PreemptionHook saves'
            )
    return said


def _replace_checkpoint_hook(cfg: Config) -> list[str]:
    hooks = cfg.get('default_hooks') or {}
    # MMEngine's own default, where the config says nothing.
    hook = hooks.get('checkpoint', dict(type='CheckpointHook', interval=1))
    if hook is None or hook.get('type') not in (
        'CheckpointHook',
        'mmengine.CheckpointHook',
        CheckpointHook,
    ):
        return []
    cfg.default_hooks = dict(
        hooks, checkpoint=dict(hook, type='mmdiffkd.AtomicCheckpointHook')
    )
    return ['AtomicCheckpointHook']


def _saves_atomically(cfg: Config) -> bool:
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    return str(hook.get('type')).endswith('AtomicCheckpointHook')


def _seed_samples(cfg: Config) -> list[str]:
    loader = cfg.get('train_dataloader') or {}
    sampler = loader.get('sampler') if isinstance(loader, dict) else None
    # Tracking samplers name no sample by one integer, and batch samplers ask
    # for their class.
    if not isinstance(sampler, dict) or str(sampler.get('type')).endswith(
        ('SeededSampler', 'TrackImgSampler')
    ):
        return []
    cfg.train_dataloader.sampler = dict(
        type='mmdiffkd.SeededSampler', sampler=sampler
    )
    return ['SeededSampler']
