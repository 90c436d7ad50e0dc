# Copyright (c) mmdiffkd contributors.
"""Which runs a study consists of."""

from collections.abc import Mapping
from typing import Any

from .definition import Study
from .run import DIFFUSION, TEACHER, Run, distils
from .tune import planned


def teacher_run(study: Study, data_set: str) -> Run | None:
    """The run that trains the teacher of a data set, if there is one."""
    cfg = study.data_sets[data_set].teacher
    return None if cfg is None else _prior(data_set, TEACHER, cfg)


def diffusion_run(study: Study, data_set: str) -> Run | None:
    """The run that trains the diffusion models of a data set, if any."""
    cfg = study.data_sets[data_set].diffusion
    if cfg is None:
        return None
    teacher = teacher_run(study, data_set)
    return _prior(
        data_set,
        DIFFUSION,
        cfg,
        teacher=teacher.key if teacher else None,
        iters=cfg.get('iters'),
    )


def _prior(
    data_set: str, purpose: str, cfg: Mapping[str, Any], **more: Any
) -> Run:
    """A run that others need; it is named by its purpose."""
    return Run(
        data_set,
        purpose,
        purpose,
        cfg['config'],
        cfg.get('seed', 0),
        cfg.get('options', {}),
        **more,
    )


def method_run(
    study: Study,
    data_set: str,
    method: str,
    purpose: str,
    seed: int,
    options: Mapping[str, Any],
    factor: float | None = None,
) -> Run:
    """A run of a method under some options.

    Args:
        study (Study): Of the method.
        data_set (str): Name.
        method (str): Name.
        purpose (str): See :class:`Run`.
        seed (int): Random seed.
        options (Mapping): Values of config keys, besides those that the
            study has for all of its runs.
        factor (float, optional): Of the length, see :class:`Run`. Defaults to
            None.
    """
    settings = study.data_sets[data_set]
    cfg = settings.methods[method]
    teacher = teacher_run(study, data_set)
    diffusion = diffusion_run(study, data_set) if cfg.diffusion_ckpt else None
    return Run(
        data_set,
        method,
        purpose,
        cfg.config,
        seed,
        {**settings.options, **cfg.options, **options},
        teacher=teacher.key if teacher and distils(cfg.config) else None,
        diffusion=diffusion.key if diffusion else None,
        diffusion_ckpt=cfg.diffusion_ckpt if diffusion else (),
        factor=factor,
    )


def is_of(study: Study, row: Mapping[str, Any]) -> bool:
    """Whether a result is of a method as the study defines it now.

    What is tuned, and at equal time the length, may have any value.
    """
    data_set, method = row['data_set'], row['method']
    settings = study.data_sets[data_set]
    if method not in settings.methods:
        return False
    free = {k for p in settings.parameters(method).values() for k in p.keys}
    if row['purpose'] == 'time':
        free |= set(settings.length)
    given = row.get('options', {})
    options = {k: v for k, v in given.items() if k in free}
    run = method_run(
        study, data_set, method, row['purpose'], row['seed'], options
    )
    return run.key == row['key']


def total(study: Study) -> int:
    """Runs of methods in the whole study."""
    comparisons = len(study.purposes)
    return sum(
        planned(data_set.parameters(method), study.trials)
        * len(study.tuning_seeds)
        + comparisons * len(study.seeds)
        for data_set in study.data_sets.values()
        for method in data_set.methods
    )
