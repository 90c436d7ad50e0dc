# Copyright (c) mmdiffkd contributors.
"""Undo what MMEngine adds to a config that is inherited as ``mmdiffkd::...``.

MMEngine takes the classes of a shipped config for those of the library that
ships it, and writes its name as ``_scope_`` beside their ``type``. Most
configs of this package name classes of another library, that of their
``default_scope``.
"""

import re

from mmengine.config import Config
from mmengine.registry import Registry

from mmdiffkd import registry

from .walk import values_of

OWN = 'mmdiffkd'
_NAMED = re.compile(r'mmdiffkd::')
_WRITTEN = re.compile(r"""_scope_['"]?\s*[=:]\s*['"]mmdiffkd['"]""")


def drop_injected_scope(cfg: Config) -> None:
    """Take ``_scope_='mmdiffkd'`` from classes that are not this package's.

    Where the file, or a base of it, has written that scope itself, all stays
    as it is.

    Args:
        cfg (Config): Config, as MMEngine has read it from a file, changed in
            place.
    """
    if cfg.get('default_scope') in (None, OWN):
        return  # there is no other place to look for them
    text = cfg.text or ''  # with that of all bases
    if not _NAMED.search(text) or _WRITTEN.search(text):
        return
    for _, part in values_of(cfg._cfg_dict):
        if (
            isinstance(part, dict)
            and part.get('_scope_') == OWN
            and not _is_own(part.get('type'))
        ):
            del part['_scope_']


def _is_own(kind: object) -> bool:
    """Whether a name without a scope is found in this package alone."""
    if not isinstance(kind, str) or '.' in kind:
        return False
    for found in vars(registry).values():
        if isinstance(found, Registry) and found.scope == OWN:
            found.import_from_location()
            if kind in found.module_dict:
                return True
    return False
