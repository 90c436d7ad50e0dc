# Copyright (c) mmdiffkd contributors.
"""The configs of runs: their names, and what they differ in."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.student import config_from_text

OF_ONE_RUN = (
    'work_dir',
    'randomness',
    'load_from',
    'resume',
    'experiment_name',
    'launcher',
)
"""Keys in which runs of one config may differ."""


def config_file(folder: Path) -> Path | None:
    """The config that MMEngine leaves in a work folder as ``NAME.py``.

    Returns:
        Path | None: None where there is none, or several.
    """
    found = [
        path
        for path in folder.glob('*.py')
        # What `mmdiffkd test` and the export leave there.
        if not path.stem.endswith(('_test', 'student_last'))
    ]
    return found[0] if len(found) == 1 else None


def config_name(folder: Path) -> str:
    """Name of the config that a work folder was made with.

    Args:
        folder (Path): Without a config in it, its own name counts, without a
            seed at the end.
    """
    file = config_file(folder)
    if file is not None:
        return file.stem
    return re.sub(r'[-_](seed[-_]?)?\d+$', '', folder.resolve().name)


def differences(first: Path, second: Path) -> list[str]:
    """Keys in which the configs of two runs differ, :data:`OF_ONE_RUN` aside.

    Args:
        first (Path): Work folder.
        second (Path): Another.

    Returns:
        list[str]: Such as ``optim_wrapper.optimizer.lr``; none where a config
        is not there or cannot be read.
    """
    one, other = (_settings(config_file(path)) for path in (first, second))
    if not one or not other:
        return []
    # Not `!=`: nan differs from itself.
    return [
        key
        for key in dict.fromkeys((*one, *other))
        if repr(one.get(key)) != repr(other.get(key))
    ]


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        cfg = config_from_text(file.read_text())
    except UserError:  # more than plain values
        return {}
    kept = {k: v for k, v in cfg.to_dict().items() if k not in OF_ONE_RUN}
    return dict(_leaves(kept))


def _leaves(item: Mapping, above: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        name = f'{above}{key}'
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{name}.')
        else:
            yield name, value
