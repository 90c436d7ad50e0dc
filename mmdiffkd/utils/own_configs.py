# Copyright (c) mmdiffkd contributors.
"""Let ``mmdiffkd::...`` configs be found in a checkout, too."""

import os
from pathlib import Path

import mmdiffkd

from .errors import UserError

ENTRIES = ('configs', 'tools', 'model-index.yml')


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
