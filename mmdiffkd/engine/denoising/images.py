# Copyright (c) mmdiffkd contributors.
"""Image files, as the test pipeline of a config reads them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from mmdiffkd.utils.errors import UserError

ENDINGS = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')


def find_images(places: Iterable[str | os.PathLike]) -> list[Path]:
    """Image files, and those anywhere below folders, in the order of names.

    Args:
        places (Iterable[str | PathLike]): Files and folders.

    Returns:
        list[Path]: Each once.

    Raises:
        UserError: If one does not exist, or a folder holds no image.
    """
    found: dict[Path, None] = {}
    for place in map(Path, places):
        if place.is_dir():
            files = sorted(
                path
                for path in place.rglob('*')
                if path.suffix.lower() in ENDINGS
            )
            if not files:
                raise UserError(
                    f'{place} holds no image ({", ".join(ENDINGS)})'
                )
        elif place.is_file():
            files = [place]
        else:
            raise UserError(f'image {place} does not exist')
        found.update(dict.fromkeys(files))
    return list(found)


class ImageReader:
    """Reads images as a config's test pipeline does, without annotations.

    Args:
        cfg (Config): Its ``test_dataloader`` or else ``val_dataloader`` names
            the pipeline.

    Raises:
        UserError: If neither does.
    """

    def __init__(self, cfg: Config) -> None:
        steps = _pipeline(cfg)
        self._read = Compose(
            [step for step in steps if 'Annotations' not in _name(step)]
        )

    def __call__(self, path: Path) -> Any:
        """A batch of one image, as a data loader gives it.

        Raises:
            UserError: If it cannot be read.
        """
        data = dict(img_path=str(path), img_id=0)
        # MMSegmentation's transforms ask for them.
        data.update(seg_fields=[], reduce_zero_label=False)
        try:
            return pseudo_collate([self._read(data)])
        except Exception as error:  # each library fails in its own way
            said = str(error).strip().split('\n')[0][:200]
            raise UserError(
                f'{path}: the test pipeline of the config cannot read it '
                f'({type(error).__name__}: {said})'
            ) from error


def _pipeline(cfg: Config) -> list[Any]:
    for key in ('test_dataloader', 'val_dataloader'):
        dataset = (cfg.get(key) or {}).get('dataset') or {}
        while not dataset.get('pipeline') and dataset.get('dataset'):
            dataset = dataset['dataset']
        if dataset.get('pipeline'):
            return list(dataset['pipeline'])
    raise UserError(
        'the config has neither test_dataloader nor val_dataloader with a '
        'pipeline: how are the images to be read?'
    )


def _name(step: Any) -> str:
    kind = step.get('type') if isinstance(step, dict) else type(step)
    return kind if isinstance(kind, str) else getattr(kind, '__name__', '')
