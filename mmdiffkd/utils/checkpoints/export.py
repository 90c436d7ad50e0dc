# Copyright (c) mmdiffkd contributors.
"""Turn a distillation checkpoint into a plain checkpoint of the student."""

import copy
import importlib
import os.path as osp
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmdiffkd.version import __version__

from ..configs.loading import load_config
from ..distillation import move_preprocessor_into_model
from ..errors import UserError
from ..scopes import check_scope
from .files import read_checkpoint, write_checkpoint
from .student import (
    PREFIX,
    config_from_text,
    distill_types,
    key_prefixes,
    student_config,
    student_weights,
)
from .weights import lacking

KEPT_META = (
    'dataset_meta',
    'epoch',
    'iter',
    'seed',
    'experiment_name',
    'time',
)
# What belongs to one run on one machine, not to the student.
RUN_KEYS = ('launcher', 'load_from', 'model_wrapper_cfg', 'resume', 'work_dir')


class Exported(NamedTuple):
    """What was written, and where.

    ``needs`` lists types of this package or MMRazor that the student itself
    is made of; a stock library opens the file only where they are installed.
    """

    path: str
    num_tensors: int
    averaged: bool
    needs: list[str]


def export_student(
    checkpoint: str,
    out: str | None = None,
    ema: bool | None = None,
    config: str | None = None,
    overwrite: bool = False,
    trust: bool = False,
) -> Exported:
    """Write the student of a distillation checkpoint as a plain checkpoint.

    The file holds tensors and plain values, and the student's own config, so
    ``DetInferencer(weights=out)`` of stock MMDetection opens it.

    Args:
        checkpoint (str): Checkpoint of this package or of MMRazor.
        out (str, optional): File or folder. Defaults to
            ``<checkpoint>_student.pth`` beside it.
        ema (bool, optional): True takes the averaged weights and insists on
            them, False the raw ones, None averaged ones where there are any.
            Defaults to None.
        config (str, optional): Config file, distillation or plain, where
            the checkpoint's own is absent or wrong. Defaults to None.
        overwrite (bool): Whether to replace an existing file. Defaults to
            False.
        trust (bool): Whether to unpickle arbitrary objects of the
            checkpoint. Defaults to False.

    Returns:
        Exported: The path and what is in it.

    Raises:
        UserError: For input that cannot become such a checkpoint. Nothing
            is written then.
    """
    out = _out_path(checkpoint, out)
    if not out:
        raise UserError('the name of the file to write is empty')
    if osp.exists(out) and osp.samefile(out, checkpoint):
        raise UserError(
            f'{out!r} is the distillation checkpoint itself; '
            'give the student another name'
        )
    if osp.exists(out) and not overwrite:
        raise UserError(f'{out!r} exists; pass --overwrite to replace it')
    source = read_checkpoint(checkpoint, trust)
    if ema and 'ema_state_dict' not in source:
        raise UserError(
            f'{checkpoint!r} has no averaged weights: no '
            "'ema_state_dict'; leave --ema out"
        )
    _student_only(source, checkpoint, ema is not False)
    cfg = plain_config(_source_config(source, checkpoint, config, trust))
    plain = plain_checkpoint(source, cfg, ema is not False)
    weights = plain['state_dict']
    check_fit(
        weights,
        cfg,
        repr(checkpoint),
        ' (another config can be named with --config)',
    )
    try:
        write_checkpoint(plain, out)
    except OSError as error:
        raise UserError(f'cannot write {out!r}: {error}') from error
    return Exported(
        out,
        len(weights),
        ema is not False and 'ema_state_dict' in source,
        sorted(set(distill_types(cfg.model))),
    )


def plain_config(cfg: Config) -> Config:
    """Reduce a config to its student, without what belongs to one run.

    Args:
        cfg (Config): Distillation or plain config.

    Returns:
        Config: A copy.
    """
    cfg = student_config(cfg)
    for key in RUN_KEYS:
        cfg.pop(key, None)
    return cfg


def plain_checkpoint(source: Mapping, cfg: Config, ema: bool = True) -> dict:
    """Reduce a checkpoint to the student: tensors and plain values only.

    Args:
        source (Mapping): A checkpoint as MMEngine writes it.
        cfg (Config): The student's config, from :func:`plain_config`.
        ema (bool): Whether to prefer averaged weights where the checkpoint
            has both. Defaults to True.

    Returns:
        dict: ``state_dict`` under the names of the plain student, and
        ``meta`` with ``cfg``, the config as text, and ``dataset_meta``.
    """
    weights = student_weights(source, ema)
    for key, value in weights.items():
        if torch.is_tensor(value):
            weights[key] = value.detach().cpu()
    return dict(
        meta=_plain_meta(source.get('meta') or {}, cfg), state_dict=weights
    )


def _out_path(checkpoint: str, out: str | None) -> str:
    name = osp.splitext(osp.basename(checkpoint))[0] + '_student.pth'
    if out is None:
        return osp.join(osp.dirname(checkpoint), name)
    return osp.join(out, name) if osp.isdir(out) else out


def _student_only(source: Mapping, path: str, ema: bool) -> None:
    """Refuse what is no distillation checkpoint."""
    state = source.get('state_dict', source)
    sound = all(
        isinstance(part, Mapping) and all(isinstance(k, str) for k in part)
        for part in (state, source.get('ema_state_dict', {}))
    )
    if not sound or not any(
        torch.is_tensor(value) for value in state.values()
    ):
        raise UserError(
            f'{path!r} is not a checkpoint: it holds no weights; '
            f'found {key_prefixes(source)}'
        )
    try:
        student_weights(source, ema)
    except UserError as error:
        raise UserError(f'{path!r}: {error}') from error
    wrapped = (PREFIX, f'module.{PREFIX}')
    if not any(key.startswith(wrapped) for key in state):
        raise UserError(
            f'{path!r} is a plain student checkpoint already: no '
            f'key starts with {PREFIX!r}; use it as it is'
        )


def _source_config(
    source: Mapping, path: str, config: str | None, trust: bool
) -> Config:
    """The config a checkpoint was trained with."""
    if config is not None:
        cfg = load_config(config)
    else:
        meta = source.get('meta')
        text = meta.get('cfg') if isinstance(meta, Mapping) else None
        if not isinstance(text, str):
            raise UserError(
                f'{path!r} carries no config; name it with --config'
            )
        cfg = config_from_text(text, trust)
    origin = config or f'the config inside {path!r}'
    model = cfg.get('model')
    if isinstance(model, Mapping):
        model = model.get('architecture', model)
    if not isinstance(model, Mapping):
        raise UserError(
            f'{origin} has no model of a student; name another with --config'
        )
    check_scope(cfg, origin)
    return cfg


def build_student(cfg: Config) -> torch.nn.Module:
    """Build the model of a plain config, without loading any weights.

    Args:
        cfg (Config): A student config.

    Returns:
        nn.Module: The model with its initial weights.
    """
    # Detectors write into the config that they are built from.
    cfg = copy.deepcopy(cfg)
    move_preprocessor_into_model(cfg)
    model = cfg.model
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    for module in [imports] if isinstance(imports, str) else imports:
        importlib.import_module(module)
    scope = cfg.get('default_scope', 'mmdet')
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(model)


def check_fit(
    weights: Mapping, cfg: Config, origin: str, hint: str = ''
) -> None:
    """Load weights into the student of a config, every name and shape.

    Args:
        weights (Mapping): State dict.
        cfg (Config): The student's config.
        origin (str): Where the weights come from, for the message.
        hint (str): What to do about it. Defaults to ``''``.

    Raises:
        UserError: If they do not fit.
    """
    model = build_student(cfg)
    try:
        found = model.load_state_dict(weights, strict=False)
        wrong = {
            'missing': lacking(model, weights, found.missing_keys),
            'that it does not have': found.unexpected_keys,
        }
        if any(wrong.values()):
            raise RuntimeError(
                '; '.join(
                    f'{len(names)} weights {what}, such as {names[:3]}'
                    for what, names in wrong.items()
                    if names
                )
            )
    except RuntimeError as error:
        raise UserError(
            f'the weights of {origin} do not fit the student of its config'
            f'{hint}: {error}'
        ) from error


def _plain_meta(meta: Mapping, cfg: Config) -> dict:
    """Keep what a user of the student needs, as plain values."""
    kept = {
        key: _plain(value)
        for key, value in meta.items()
        if key in KEPT_META or str(key).endswith('_version')
    }
    if kept.get('dataset_meta'):
        kept['dataset_meta'] = _one_dataset_meta(kept['dataset_meta'])
    scope = cfg.get('default_scope', 'mmdet')
    library = importlib.import_module(scope)
    kept.setdefault(f'{scope}_version', library.__version__)
    kept.update(mmdiffkd_version=__version__, cfg=cfg.pretty_text)
    return kept


def _one_dataset_meta(meta: Any) -> Any:
    """Choose one, as the libraries' inferencers want it.

    MMDetection's ``ConcatDataset`` of sets that differ has a list of them.
    The first set with the most classes knows a name for every label.
    """
    if isinstance(meta, (list, tuple)):
        dicts = [item for item in meta if isinstance(item, Mapping)]
        meta = max(
            dicts, key=lambda item: len(item.get('classes') or ()), default={}
        )
    if isinstance(meta, Mapping):  # sizes of the parts are no user's business
        meta = {k: v for k, v in meta.items() if k != 'cumulative_sizes'}
    return meta


def _plain(value: Any) -> Any:
    """Replace what stock PyTorch does not load safely."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, (list, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)
