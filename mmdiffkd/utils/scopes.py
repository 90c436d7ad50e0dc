# Copyright (c) mmdiffkd contributors.
"""The library that a config is written for."""

import importlib.util

from mmengine.config import Config

from .errors import UserError, closest

SCOPES = ('mmdet', 'mmengine', 'mmpretrain', 'mmrazor', 'mmseg')


def check_scope(cfg: Config, origin: str) -> None:
    """Check that the library of ``default_scope`` is installed.

    Args:
        cfg (Config): Config.
        origin (str): Its file, for the message.

    Raises:
        UserError: If it is not.
    """
    scope = cfg.get('default_scope')
    if scope is not None and (
        not isinstance(scope, str) or importlib.util.find_spec(scope) is None
    ):
        raise UserError(
            f'default_scope {scope!r} of {origin} is no installed '
            f'library{closest(scope, SCOPES)}'
        )
