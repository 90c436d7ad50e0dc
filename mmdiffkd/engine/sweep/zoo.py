# Copyright (c) mmdiffkd contributors.
"""The stock configs of MMDetection, MMSegmentation and MMPretrain."""

import hashlib
import importlib.util
import json
import os
import os.path as osp
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict

from mmdiffkd.utils.configs.weights import without_weights
from mmdiffkd.utils.distillation import move_preprocessor_into_model

LIBRARIES = ('mmdet', 'mmseg', 'mmpretrain')


class StockConfig(NamedTuple):
    """A config that a library ships.

    Attributes:
        library (str): One of :data:`LIBRARIES`.
        path (str): Below the library's folder of configs.
        file (str): Absolute path.
    """

    library: str
    path: str
    file: str

    @property
    def name(self) -> str:
        """Such as ``mmdet::gfl/gfl_r50_fpn_1x_coco.py``."""
        return f'{self.library}::{self.path}'

    @property
    def family(self) -> str:
        """Its folder, which is one collection of the library's zoo."""
        return self.path.split('/')[0]


def stock_configs(library: str) -> Iterator[StockConfig]:
    """List the configs of a library, without those that are bases only.

    Args:
        library (str): One of :data:`LIBRARIES`; it has to be installed.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        return
    root = Path(spec.origin).parent / '.mim' / 'configs'
    for file in sorted(root.rglob('*.py')):
        path = file.relative_to(root)
        if '_base_' not in path.parts:
            yield StockConfig(library, path.as_posix(), str(file))


def load_untrained(file: str) -> Config:
    """Read a config and leave out whatever would be downloaded.

    Args:
        file (str): A stock config.

    Returns:
        Config: Its model, if any, has the ``data_preprocessor`` that a Runner
        would give it. Without a ``default_scope`` it gets its library's, as
        the libraries' own functions do.
    """
    cfg = Config.fromfile(file)
    root, _, path = file.rpartition('/.mim/configs/')
    if cfg.get('default_scope') is None:
        cfg.default_scope = osp.basename(root)
    if path:
        # Where a config names another one, it counts from the library's
        # checkout, in which its tools are started.
        os.chdir(osp.join(root, '.mim'))
    if isinstance(cfg.get('model'), dict):
        move_preprocessor_into_model(cfg)
        cfg.model = without_weights(cfg.model)
    cfg.load_from = None
    return cfg


def with_few_samples(part: Any, most: int = 32) -> Any:
    """Copy a part of a config, with fewer regions of an image to train on.

    The second stage of a detector takes 512 regions of an image, however
    small that is, and nearly all of a step's time.

    Args:
        part (Any): Dict, list or value.
        most (int): Regions that a sampler takes at most. Defaults to 32.
    """
    if isinstance(part, Mapping):
        few = {k: with_few_samples(v, most) for k, v in part.items()}
        if str(few.get('type')).endswith('Sampler') and 'num' in few:
            few['num'] = min(few['num'], most)
        return ConfigDict(few) if isinstance(part, ConfigDict) else few
    if isinstance(part, (list, tuple)):
        return type(part)(with_few_samples(item, most) for item in part)
    return part


def signature(cfg: Config) -> str:
    """Tell two models apart; equal ones of several configs are swept once.

    What does not alter the trained network is left out: its settings for
    tests, and the size to which images are padded.

    Args:
        cfg (Config): From :func:`load_untrained`, with a model.

    Returns:
        str: 12 hexadecimal digits.
    """
    model = {k: v for k, v in cfg.model.items() if k != 'test_cfg'}
    images = model.get('data_preprocessor')
    if isinstance(images, Mapping):
        model['data_preprocessor'] = {
            k: v
            for k, v in images.items()
            if k not in ('size', 'size_divisor', 'test_cfg')
        }
    model['scope'] = cfg.default_scope
    text = json.dumps(model, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def semantic_stride(cfg: Config) -> int:
    """Pixels of the image to one of its semantic map, by the train pipeline.

    Args:
        cfg (Config): A stock config.
    """
    text = json.dumps(cfg.get('train_dataloader', {}), default=repr)
    return 8 if 'SegRescale' in text else 1
