# Copyright (c) mmdiffkd contributors.
"""Configs of trainings by the names that commands take."""

from collections.abc import Mapping

from mmengine.config import Config

from mmdiffkd.pairing.named import shipped
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.errors import UserError


def read(name: str, options: Mapping | None = None) -> Config:
    """Read the config of a training by its name.

    Args:
        name (str): A file, or ``library::path`` of a config that a library
            ships, such as ``mmrazor::distill/mmdet/cwd/...``.
        options (Mapping, optional): Settings to change, by dotted names.
            Defaults to None.

    Returns:
        Config: As its file says, but for the options.

    Raises:
        UserError: If there is none, it has no model, or an option does not
            fit.
    """
    library, colons, path = name.partition('::')
    cfg = load_config(
        str(shipped(library, path, 'config')) if colons else name, options
    )
    model = cfg.get('model')
    if not isinstance(model, Mapping) or not {'type', 'cfg_path'} & {*model}:
        raise UserError(f'config {name} defines no model')
    return cfg
