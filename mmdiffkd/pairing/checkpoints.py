# Copyright (c) mmdiffkd contributors.
"""Find the checkpoint that a model zoo names for a config."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


def zoo_checkpoint(config: Path) -> str | None:
    """Find the weights of a config in the nearest metafile above it.

    Args:
        config (Path): A config file, of a library or a checkout of one.

    Returns:
        str | None: URL, or None if no metafile names the config.
    """
    for folder in config.parents:
        found = [*folder.glob('metafile.y*ml')]
        for metafile in found:
            for entry in _models(metafile):
                named = str(entry.get('Config') or '')
                if _ends_alike(config, named) and entry.get('Weights'):
                    return str(entry['Weights'])
        if found or folder.name == 'configs':
            break
    return None


def _models(metafile: Path) -> Iterator[Mapping[str, Any]]:
    try:
        content = yaml.safe_load(metafile.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError):
        return  # a zoo with a fault names no weights
    entries = content.get('Models') if isinstance(content, dict) else content
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield entry


def _ends_alike(config: Path, named: str) -> bool:
    """Whether a path ends as a metafile's ``configs/folder/name.py``."""
    parts = [p for p in Path(named).parts if p not in ('.', 'configs')]
    return bool(parts) and list(config.parts[-len(parts) :]) == parts
