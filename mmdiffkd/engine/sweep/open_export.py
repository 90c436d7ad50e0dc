# Copyright (c) mmdiffkd contributors.
"""Open an exported student with the functions of its library."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from .batches import batch, pad_to
from .zoo import semantic_stride


def open_export(file: str, library: str, size: int) -> Any:
    """Build the model of an export, load it, and predict on two images.

    Args:
        file (str): Checkpoint that holds its own config.
        library (str): ``'mmdet'``, ``'mmseg'`` or ``'mmpretrain'``.
        size (int): Height and width of the images, in pixels.

    Returns:
        BaseModel: As the library gives it.
    """
    text = torch.load(file, weights_only=True)['meta']['cfg']
    cfg = Config.fromstring(text, '.py')
    model = OPENERS[library](cfg, file)
    with DefaultScope.overwrite_default_scope(library), torch.no_grad():
        pad_to(model.data_preprocessor, size)
        data = batch(model, size, 2, semantic_stride(cfg))
        # A test pipeline gives the images as a list, as the train one does.
        predictions = model.test_step(data)
    assert len(predictions) == 2
    return model


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
