# Copyright (c) mmdiffkd contributors.
"""Checks that cost nothing, before minutes are spent on building a model."""

import glob
import os
import os.path as osp
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from mmdiffkd.utils.checkpoints.files import refuse_folder
from mmdiffkd.utils.distillation import has_student, is_distillation
from mmdiffkd.utils.errors import UserError
from mmdiffkd.utils.scopes import check_scope

from .label_lists import check_label_list
from .label_maps import check_label_maps

CHECKPOINT_NAME = re.compile(r'(epoch|iter)_\d+\.pth|best_.+\.pth')


def earlier_checkpoints(work_dir: str) -> list[str]:
    """List the checkpoints of earlier runs, oldest first.

    Args:
        work_dir (str): Folder, which need not exist.

    Returns:
        list[str]: File names.
    """
    if not osp.isdir(work_dir):
        return []
    names = filter(CHECKPOINT_NAME.fullmatch, os.listdir(work_dir))
    return sorted(
        names, key=lambda name: osp.getmtime(osp.join(work_dir, name))
    )


def check_training(cfg: Config, path: str) -> None:
    """Check that a config has the parts of a training.

    Args:
        cfg (Config): Config.
        path (str): Its file, for the message.

    Raises:
        UserError: Naming the first part that is absent or of a wrong kind.
    """
    for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'):
        if not isinstance(cfg.get(key), Mapping):
            raise UserError(
                f'{path} cannot be trained: its {key} must be a '
                f'dict, and is {cfg.get(key)!r}'
            )
    check_scope(cfg, path)
    algorithm, student = cfg.model, cfg.model.get('architecture')
    given = algorithm.get('data_preprocessor')
    own = (
        student.get('data_preprocessor')
        if isinstance(student, Mapping)
        else None
    )
    if given and own and given != own and is_distillation(cfg):
        raise UserError(
            'model.data_preprocessor is not used, because the student has '
            'one; set model.architecture.data_preprocessor in its place'
        )


def check_settings(cfg: Config) -> None:
    """Check values with which MMEngine would train nothing, or fail late.

    Args:
        cfg (Config): Training config.

    Raises:
        UserError: Naming the first that is wrong.
    """
    for key in ('max_epochs', 'max_iters'):
        value = cfg.train_cfg.get(key)
        if value is not None and not _is_count(value):
            raise UserError(
                f'train_cfg.{key} must be an integer of at least '
                f'1, got {value!r}'
            )
    loader = cfg.train_dataloader
    if 'batch_sampler' not in loader and not _is_count(
        loader.get('batch_size', 1)
    ):
        raise UserError(
            'train_dataloader.batch_size must be an integer of at '
            f'least 1, got {loader["batch_size"]!r}'
        )
    seed = cfg.get('randomness') or {}
    seed = seed.get('seed') if isinstance(seed, Mapping) else None
    if seed is not None and not (_is_count(seed, 0) and seed < 2**32):
        raise UserError(
            'the seed (--seed, or randomness.seed) must be an '
            f'integer from 0 to 2**32 - 1, got {seed!r}'
        )
    if cfg.get('sync_bn') not in (None, 'torch', 'mmcv'):
        raise UserError(
            "config key sync_bn is 'torch', 'mmcv' or None, not "
            f'{cfg.sync_bn!r}'
        )
    hooks = cfg.get('custom_hooks')
    if hooks is not None and (
        not isinstance(hooks, (list, tuple))
        or any(isinstance(hook, str) for hook in hooks)
    ):
        raise UserError(
            'config key custom_hooks must be a list of dicts such '
            f"as [dict(type='EMAHook')], not {hooks!r}"
        )


def _is_count(value: Any, least: int = 1) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= least
    )


def check_folder(path: str, name: str) -> None:
    """Check that a folder is there or can be made, and be written to.

    Args:
        path (str): The folder.
        name (str): Where it was given, for the message.

    Raises:
        UserError: If it cannot. An empty name, as an unset variable of the
            shell leaves it, would be the current folder.
    """
    if not isinstance(path, str) or not path:
        raise UserError(f'{name} must be the name of a folder, got {path!r}')
    above = osp.abspath(path)
    while not osp.exists(above) and osp.dirname(above) != above:
        above = osp.dirname(above)
    if not osp.isdir(above):
        raise UserError(f'{name} {path!r} cannot be made: {above!r} is a file')
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f'{name} {path!r} cannot be written to: no permission in {above!r}'
        )
    # Some file systems refuse what the permissions allow.
    try:
        tempfile.TemporaryDirectory(dir=above).cleanup()
    except OSError as error:
        raise UserError(
            f'{name} {path!r} cannot be written to: {error}'
        ) from error


def check_work_dir(cfg: Config) -> None:
    """Refuse to write over the checkpoints of an earlier run.

    Args:
        cfg (Config): Config with its ``work_dir`` and ``resume``.

    Raises:
        UserError: If there are checkpoints and nothing is resumed.
    """
    names = earlier_checkpoints(cfg.work_dir) or sorted(
        osp.basename(path)
        for path in glob.glob(
            osp.join(glob.escape(cfg.work_dir), 'student_*.pth')
        )
    )
    if names and not cfg.get('resume', False):
        raise UserError(
            f'{cfg.work_dir!r} holds checkpoints of an earlier run '
            f'({", ".join(names[-3:])}), which this run would overwrite. '
            'Continue that run with --resume, choose another folder with '
            '--work-dir, or allow it with --overwrite'
        )


def check_wrapper(cfg: Config) -> None:
    """Refuse what splits the parameters of a student over processes.

    Args:
        cfg (Config): Config.

    Raises:
        UserError: If a distillation names such a wrapper or strategy.
    """
    if not has_student(cfg):
        return
    for key in ('model_wrapper_cfg', 'strategy'):
        part = cfg.get(key)
        kind = str(
            (part.get('type') if isinstance(part, Mapping) else part) or ''
        ).split('.')[-1]
        if re.search('FullySharded|FSDP|DeepSpeed|ColossalAI', kind):
            raise UserError(
                f'{key}.type {kind} splits the parameters over processes; a '
                'distillation records features of whole modules. Leave it '
                'out: MMDistributedDataParallel is used'
            )


def check_load_from(cfg: Config) -> None:
    """Check that the weights to start from exist."""
    path = cfg.get('load_from')
    if path is not None and not isinstance(path, str):
        raise UserError(
            'config key load_from must be the name of a '
            f'checkpoint, got {path!r}'
        )
    if path:
        refuse_folder(path, 'config key load_from:')
    if path and '://' not in path and not osp.isfile(path):
        raise UserError(
            f'checkpoint {path!r} does not exist (config key load_from)'
        )


def check_data(cfg: Config, phases: tuple[str, ...]) -> None:
    """Check that annotation files and image folders exist.

    Of segmentation sets, a few label files are read as well, and of
    classification sets the one label file.

    Args:
        cfg (Config): Config.
        phases (tuple[str]): Any of ``'train'``, ``'val'``, ``'test'``.

    Raises:
        UserError: Naming the first path that is absent, and its config key.
    """
    for phase in phases:
        for key, dataset in _datasets(
            cfg.get(f'{phase}_dataloader'), f'{phase}_dataloader'
        ):
            _check_dataset(key, dataset)
            if 'seg_map_path' in (dataset.get('data_prefix') or ()):
                check_label_maps(cfg, key, dataset)
            else:
                check_label_list(cfg, key, dataset)
        for key, evaluator in _evaluators(cfg, phase):
            path = evaluator.get('ann_file')
            if _absent(path) and _is_local(evaluator):
                raise UserError(
                    f'annotation file {path!r} does not exist: set '
                    f'{key}.ann_file in the config or by --cfg-options'
                )


def _datasets(item: Any, key: str) -> Iterator[tuple[str, Mapping]]:
    """Yield the datasets inside dataloaders and wrappers, with their keys."""
    if isinstance(item, (list, tuple)):
        for i, value in enumerate(item):
            yield from _datasets(value, f'{key}.{i}')
    elif isinstance(item, Mapping):
        inner = [name for name in ('dataset', 'datasets') if item.get(name)]
        for name in inner:
            yield from _datasets(item[name], f'{key}.{name}')
        if not inner and 'type' in item:
            yield key, item


def _check_dataset(key: str, dataset: Mapping) -> None:
    root = dataset.get('data_root') or ''
    ann_file = dataset.get('ann_file') or ''
    prefixes = dataset.get('data_prefix') or {}
    if isinstance(prefixes, str):
        prefixes = {'': prefixes}
    if not (ann_file or prefixes) or not _is_local(dataset):
        return  # a dataset that finds, or downloads, its files by itself
    if _absent(root):
        raise UserError(
            f'data root {root!r} does not exist: set '
            f'{key}.data_root in the config or by --cfg-options'
        )
    path = osp.join(root, ann_file) if isinstance(ann_file, str) else ''
    if _absent(path):
        raise UserError(
            f'annotation file {path!r} does not exist: set '
            f'{key}.ann_file (relative to {key}.data_root)'
        )
    for name, prefix in prefixes.items():
        folder = osp.join(root, prefix) if isinstance(prefix, str) else ''
        if _absent(folder):
            full = f'{key}.data_prefix' + (f'.{name}' if name else '')
            raise UserError(
                f'image folder {folder!r} does not exist: set '
                f'{full} (relative to {key}.data_root)'
            )


def _evaluators(cfg: Config, phase: str) -> Iterator[tuple[str, Mapping]]:
    evaluator = cfg.get(f'{phase}_evaluator') or []
    key = f'{phase}_evaluator'
    if isinstance(evaluator, Mapping):
        yield key, evaluator
    else:
        for i, item in enumerate(evaluator):
            if isinstance(item, Mapping):
                yield f'{key}.{i}', item


def _is_local(item: Mapping) -> bool:
    """Whether files are read from this machine's file system."""
    backend = (item.get('backend_args') or {}).get('backend', 'local')
    return backend in ('local', 'disk')


def _absent(path: Any) -> bool:
    return (
        isinstance(path, str)
        and path != ''
        and '://' not in path
        and not osp.exists(path)
    )
