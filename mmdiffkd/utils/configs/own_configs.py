# Copyright (c) mmdiffkd contributors.
"""Let ``mmdiffkd::...`` configs be found in a checkout, too."""

import os
from pathlib import Path

import mmdiffkd

from ..errors import UserError

ENTRIES = ('configs', 'tools', 'model-index.yml')


def bases(*names: str) -> list[str]:
    """Name the bases of a config that any train script can read.

    MMEngine reads the files of ``_base_`` before ``custom_imports``, and
    knows ``mmdiffkd::...`` only where mmdiffkd has been imported. The train
    scripts of the host libraries do not import it; MMEngine evaluates
    ``_base_`` as an expression, so the config does it there.

    Args:
        *names (str): The bases, as in any config.

    Returns:
        list[str]: The same names.

    Example:
        >>> _base_ = __import__('mmdiffkd').bases(
        ...     'mmdet::retinanet/retinanet_r50_fpn_2x_coco.py',
        ...     'mmdiffkd::_base_/distillers/diffkd_retina.py',
        ... )
    """
    link_own_configs()
    return list(names)


def link_own_configs() -> None:
    """Make the links of a checkout that ``python setup.py link_mim`` makes.

    MMEngine looks for ``mmdiffkd::...`` in ``mmdiffkd/.mim``, which installed
    packages have, and a fresh clone has not.

    Raises:
        UserError: If it is absent and cannot be made.
    """
    package = Path(mmdiffkd.__file__).resolve().parent
    root, mim = package.parent, package / '.mim'
    if not (root / 'setup.py').is_file():
        return  # installed: it has copies
    for name in ENTRIES:
        if (mim / name).exists() or not (root / name).exists():
            continue
        try:
            mim.mkdir(exist_ok=True)
            # Made aside and renamed: several processes may start at once.
            fresh = mim / f'{name}.{os.getpid()}'
            fresh.symlink_to(os.path.join('..', '..', name))
            os.replace(fresh, mim / name)
        except OSError as error:
            raise UserError(
                f'configs named mmdiffkd::... are looked for in {mim}, which '
                f'has no {name} and cannot be written to ({error.strerror}). '
                f'Run `python setup.py link_mim` in {root} as its owner, or '
                'install the package'
            ) from error
