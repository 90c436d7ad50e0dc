# Copyright (c) mmdiffkd contributors.
"""Rules for images and annotations that cannot be read."""

import json
import re
from pathlib import Path

from ..blame import Frames
from .place import last_call


def explain_empty_dataset(error: BaseException, frames: Frames) -> str | None:
    """A dataset from which nothing is left after filtering."""
    frame = last_call(
        frames, '_serialize_data', 'mmengine.dataset.base_dataset'
    )
    if frame is None or not isinstance(error, ValueError):
        return None
    dataset = frame.f_locals['self']
    if dataset.data_list:
        return None
    return (
        f'no image is left in the {type(dataset).__name__} of '
        f'{dataset.ann_file or dataset.data_root!r}: it is empty, or '
        'filter_cfg drops all. The classes of its metainfo, '
        f'{dataset.metainfo.get("classes")}, must be names of categories '
        'in it'
    )


def explain_absent_image(error: BaseException, frames: Frames) -> str | None:
    """An image that the annotations name, also in a worker's words."""
    text = str(error)
    loading = last_call(frames, 'transform', 'mmcv.transforms.loading')
    if not isinstance(error, FileNotFoundError) or (
        loading is None and 'DataLoader worker' not in text
    ):
        return None
    name = error.filename or ''.join(
        re.findall(r"No such file or directory: '(.+?)'", text)[:1]
    )
    return (
        f'image file {name!r} does not exist, and the annotations name '
        'it: check data_root, data_prefix and ann_file of the dataset'
    )


def explain_broken_image(error: BaseException, frames: Frames) -> str | None:
    """A file that is no readable image, also if a worker reports it."""
    match = re.search(r'failed to load image: (.+)', str(error))
    name = match.group(1).strip() if match else None
    if name is None and type(error).__module__.startswith('cv2'):
        names = [
            f.f_locals.get('filename')
            for f in frames
            if f.f_code.co_name == 'transform'
        ]
        name = names[-1] if names else None
    return (
        (
            f'image file {name!r} is empty, cut or no image: restore it, or '
            'take it out of the annotations'
        )
        if name
        else None
    )


def explain_broken_json(error: BaseException, frames: Frames) -> str | None:
    """Annotations that are cut or are no JSON."""
    if not isinstance(error, json.JSONDecodeError):
        return None
    for frame in reversed(frames):
        for name in (
            'annotation_file',
            'ann_file',
            'file',
            'filename',
            'path',
        ):
            path = frame.f_locals.get(name)
            if isinstance(path, (str, Path)):
                return f"'{path}' is not valid JSON, or cut: {error}"
    return None
