# Copyright (c) mmdiffkd contributors.
"""Read the config of a model by its name."""

import importlib.util
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.configs.own_configs import link_own_configs
from mmdiffkd.utils.errors import UserError, closest
from mmdiffkd.utils.scopes import check_scope

SHIPPED = re.compile(r'\w*::\w*/\w*')
"""What MMEngine takes for the name of a shipped config; not gn+ws/..."""


class Named(NamedTuple):
    """The config of a model.

    Attributes:
        side (str): ``'student'`` or ``'teacher'``, for messages.
        reference (str): What another config calls it: ``mmdet::...``, or an
            absolute path.
        path (Path): Its file.
        config (Config): Its content.
    """

    side: str
    reference: str
    path: Path
    config: Config

    @property
    def base(self) -> str:
        """What a config calls it that inherits it.

        MMEngine seeks the classes of an inherited ``mmdiffkd::`` config in
        this package, unless it has them from another library itself; so such
        a config is inherited as a file.
        """
        own = self.reference.startswith('mmdiffkd::')
        return str(self.path) if own else self.reference

    @property
    def library(self) -> str:
        """The library that the model is built by, such as ``'mmdet'``."""
        return self.config.get('default_scope') or 'mmengine'


def read_named(name: str, side: str) -> Named:
    """Read the config of a model by its name.

    Args:
        name (str): ``library::path`` of a config that a library ships, or a
            file.
        side (str): ``'student'`` or ``'teacher'``.

    Returns:
        Named: The config.

    Raises:
        UserError: If there is no such config (the message names the closest),
            its library is not installed, it cannot be read, or it defines no
            plain model.
    """
    library, colons, path = str(name).partition('::')
    if colons:
        file = shipped(library, path, side)
        reference = f'{library}::{file.relative_to(folder_of(library))}'
    else:
        file = Path(name).expanduser().absolute()
        reference = str(file)
    if side == 'student' and file.is_file() and _is_new_style(file):
        raise UserError(
            f'{side} {name} is a new-style config (read_base), which no text '
            'config can inherit. Write it out once: python -c "from '
            "mmengine.config import Config; Config.fromfile('"
            f"{file}').dump('student.py')\", and name student.py"
        )
    config = load_config(str(file))
    if colons and library != 'mmdiffkd' and not config.get('default_scope'):
        # A headless backbone, such as DINOv2's, comes without a run.
        config.default_scope = library
    # MMEngine seeks the classes of a shipped config in the library that ships
    # it; MMDetection has classifiers whose classes are MMPretrain's.
    scope = config.get('default_scope', library)
    if library not in (scope, 'mmdiffkd') or not SHIPPED.match(reference):
        reference = str(file)
    check_scope(config, str(name))
    model = config.get('model')
    if not isinstance(model, Mapping) or 'type' not in model:
        raise UserError(f'{side} {name} defines no model')
    if 'architecture' in model and 'distiller' in model:
        raise UserError(
            f'{side} {name} is a distillation itself; name the config of its '
            'student'
        )
    return Named(side, reference, file, config)


def folder_of(library: str) -> Path:
    """The folder with the configs of an installed library.

    Raises:
        UserError: If it is not installed.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        package = MODULE2PACKAGE.get(library, library)
        raise UserError(f'{library} is not installed: pip install {package}')
    return Path(spec.origin).parent / '.mim' / 'configs'


def shipped(library: str, path: str, side: str) -> Path:
    """The file of a config that a library ships.

    Args:
        library (str): Such as ``'mmdet'``.
        path (str): Below its folder of configs.
        side (str): What it is the config of, for messages.

    Raises:
        UserError: If there is none; the message names the closest.
    """
    if library not in MODULE2PACKAGE:
        raise UserError(
            f'{side} {library}::{path}: {library!r} is no library with '
            f'configs{closest(library, MODULE2PACKAGE)}'
        )
    if library == 'mmdiffkd':
        link_own_configs()
    folder = folder_of(library)
    file = folder / path
    if file.is_file():
        return file
    known = {
        str(p.relative_to(folder)): p
        for p in sorted(folder.rglob('*.py'))
        if '_base_' not in p.parts
    }
    # By file name alone as well: the folder is what users forget.
    ends = [k for k in known if Path(k).stem == Path(path).stem]
    close = ends[:3] or get_close_matches(path, known, n=3, cutoff=0.5)
    raise UserError(
        f'{side}: {library} ships no config {path!r}'
        + ('; the closest are ' if close else '')
        + ', '.join(f'{library}::{name}' for name in close)
    )


def _is_new_style(file: Path) -> bool:
    try:
        return Config._is_lazy_import(str(file))
    except Exception:  # a config that cannot be parsed is refused later
        return False
