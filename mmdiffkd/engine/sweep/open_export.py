# Copyright (c) mmdiffkd contributors.
"""Open an exported student with the functions of its library."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdiffkd.models.widths.probe import propose_few

from .batches import Size, batch, pad_to


def open_export(file: str, library: str) -> tuple[Any, Config]:
    """Build the model of an export, and load it.

    Args:
        file (str): Checkpoint that holds its own config.
        library (str): ``'mmdet'``, ``'mmseg'`` or ``'mmpretrain'``.

    Returns:
        tuple[BaseModel, Config]: As the library gives it, and its config.
    """
    text = torch.load(file, weights_only=True)['meta']['cfg']
    cfg = Config.fromstring(text, '.py')
    return OPENERS[library](cfg, file), cfg


def predict(model: Any, library: str, size: Size, stride: int = 1) -> None:
    """Predict on an image, as the stock library does.

    Args:
        model (BaseModel): Of the library.
        library (str): As of :func:`open_export`.
        size (int | tuple[int, int]): Of the image, in pixels.
        stride (int): As ``semantic_stride`` of :func:`~.batches.batch`.
    """
    model.eval()
    propose_few(model)
    with DefaultScope.overwrite_default_scope(library), torch.no_grad():
        pad_to(model.data_preprocessor, size)
        # A test pipeline gives the images as a list, as the train one does.
        assert len(model.test_step(batch(model, size, 1, stride))) == 1


def _detector(cfg: Config, file: str) -> Any:
    from mmdet.apis import init_detector

    return init_detector(cfg, file, device='cpu', palette='random')


def _segmentor(cfg: Config, file: str) -> Any:
    from mmseg.apis import init_model

    return init_model(cfg, file, device='cpu')


def _classifier(cfg: Config, file: str) -> Any:
    from mmpretrain.apis import get_model

    return get_model(cfg, pretrained=file, device='cpu')


OPENERS = dict(mmdet=_detector, mmseg=_segmentor, mmpretrain=_classifier)
