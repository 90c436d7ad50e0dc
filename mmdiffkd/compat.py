# Copyright (c) mmdiffkd contributors.
"""Make the host libraries work together; the only place that knows of their
broken versions.

Each shim asks a feature, not a version, whether it is needed, does nothing
when it is not, and is applied once. Nothing is written to ``site-packages``.

=========================  ==================================================
shim                       what fails without it
=========================  ==================================================
``_config_packages``       ``_base_ = 'mmdiffkd::...'``, and ``'mmseg::...'``
                           where a fork provides ``mmseg``
``_package_lookup``        every ``'mmdet::...'`` base without
                           ``pkg_resources`` (setuptools >= 81)
``_checkpoint_globals``    resuming and loading own checkpoints
                           (``weights_only`` is PyTorch's default)
``_work_once``             nothing, but a start takes longer: each
                           ``'mmdet::...'`` base reads 100 metafiles, and a
                           config is laid out four times by the slow ``yapf``
``_mmrazor_import``        ``import mmrazor`` with a newer mmcv, and
                           ``import mmrazor.models``
``mend_pkd_loss``          MMRazor's ``PKDLoss`` on one value per channel: the
                           last level of a small image, batch 1, gives NaN
=========================  ==================================================
"""

import functools
import importlib
import importlib.metadata
import importlib.util
import os.path as osp
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_done = False


def setup() -> None:
    """Apply every shim that the installed versions need, once.

    Called by ``import mmdiffkd``, hence before any registry is used.
    """
    global _done
    if _done:
        return
    _done = True
    _config_packages()
    _package_lookup()
    _checkpoint_globals()
    _work_once()
    _mmrazor_import()


def _has_distribution(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _config_packages() -> None:
    """Tell MMEngine which package answers ``scope::path`` configs."""
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault('mmdiffkd', 'mmdiffkd')
    # A fork has another distribution name, but the same module name. Left
    # alone, MMEngine would `pip install` the original over the fork.
    for module, package in MODULE2PACKAGE.items():
        if (
            module != package
            and not _has_distribution(package)
            and importlib.util.find_spec(module) is not None
        ):
            MODULE2PACKAGE[module] = module


def _package_lookup() -> None:
    """Locate packages through ``importlib`` where MMEngine would fail."""
    if _mmengine_finds_packages():
        return
    package_utils = importlib.import_module('mmengine.utils.package_utils')
    for name in (
        'mmengine.utils.package_utils',
        'mmengine.utils',
        'mmengine.config.config',
        'mmengine.hub.hub',
    ):
        module = importlib.import_module(name)
        for function in (is_installed, get_installed_path):
            if hasattr(module, function.__name__):
                setattr(module, function.__name__, function)
    # `install_package` looks `is_installed` up in its own module.
    assert package_utils.is_installed is is_installed


def _mmengine_finds_packages() -> bool:
    if importlib.util.find_spec('pkg_resources') is None:
        return False
    try:
        mmdiffkd = importlib.metadata.distribution('mmdiffkd')
    except importlib.metadata.PackageNotFoundError:
        return True  # MMEngine asks for the module, too
    # MMEngine looks beside the metadata only; the code of an editable install
    # is elsewhere.
    return osp.exists(str(mmdiffkd.locate_file('mmdiffkd')))


def _module_of(package: str) -> str:
    from mmengine.config.utils import MODULE2PACKAGE

    for module, name in MODULE2PACKAGE.items():
        if name == package:
            return module
    return package


def is_installed(package: str) -> bool:
    """Whether a package can be imported.

    Args:
        package (str): Distribution or module name.

    Returns:
        bool: True if its module is found.
    """
    spec = importlib.util.find_spec(_module_of(package))
    return spec is not None and spec.origin is not None


def get_installed_path(package: str) -> str:
    """Folder of an installed package.

    Args:
        package (str): Distribution or module name.

    Returns:
        str: The folder of its module.

    Raises:
        importlib.metadata.PackageNotFoundError: If it is not installed.
    """
    spec = importlib.util.find_spec(_module_of(package))
    if spec is None or spec.origin is None:
        raise importlib.metadata.PackageNotFoundError(package)
    return osp.dirname(spec.origin)


def _history_buffer_attribute(obj: Any, name: str) -> Any:
    """Stand in for ``getattr`` in checkpoints: statistics methods only.

    MMEngine pickles its log buffers with references to their methods, which
    pickle protocol 2 writes as ``getattr(HistoryBuffer, 'mean')``. To allow
    the real ``getattr`` would open the door that ``weights_only`` closes.
    """
    from mmengine.logging import HistoryBuffer

    if obj is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(HistoryBuffer, name)
    raise RuntimeError(
        f'a checkpoint asks for attribute {name!r} of {obj!r}, which is not '
        'part of a training log; it is refused'
    )


def _checkpoint_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read MMEngine's own checkpoints.

    They hold the training log as ``HistoryBuffer`` objects of NumPy arrays.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    core = importlib.import_module(
        'numpy._core.multiarray'
        if importlib.util.find_spec('numpy._core')
        else 'numpy.core.multiarray'
    )
    safe = [HistoryBuffer, np.ndarray, np.dtype]
    safe += [type(np.dtype(kind)) for kind in '?bBhHiIlLqQefdSU']
    # Both spellings: files are exchanged between NumPy 1 and 2.
    named = [
        (getattr(core, function), f'{package}.multiarray.{function}')
        for function in ('_reconstruct', 'scalar')
        for package in ('numpy._core', 'numpy.core')
    ]
    named.append((_history_buffer_attribute, 'builtins.getattr'))
    torch.serialization.add_safe_globals(safe + named)


@contextmanager
def _attribute(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of a module for a while."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _work_once() -> None:
    """Let MMEngine keep what it reads and lays out again and again."""
    for name, function, limit in (
        ('mmengine.config.utils', 'load', 1000),  # of metafiles alone
        ('mmengine.config.config', 'FormatCode', 4),
    ):
        module = importlib.import_module(name)
        if hasattr(module, function):
            kept = _kept(getattr(module, function), limit)
            setattr(module, function, kept)


def _kept(function: Callable[..., Any], limit: int) -> Callable[..., Any]:
    """A function that remembers its last results, which nobody changes.

    Args:
        function (Callable): Its result depends on its arguments alone, which
            ``repr`` tells apart.
        limit (int): Number of results.
    """
    results: dict[str, Any] = {}

    @functools.wraps(function)
    def kept(*args: Any, **kwargs: Any) -> Any:
        key = repr((args, sorted(kwargs.items())))
        if key not in results:
            while len(results) >= limit:
                results.pop(next(iter(results)))
            results[key] = function(*args, **kwargs)
        return results[key]

    return kept


def _mmrazor_import() -> None:
    """Import the parts of MMRazor that check versions at import time."""
    if importlib.util.find_spec('mmrazor') is None:
        return  # the diffusion core works without it
    import mmcv
    from mmengine.utils import digit_version

    newest = '2.1.0'  # MMRazor 1.0.0 refuses anything newer, needlessly
    if digit_version(mmcv.__version__) > digit_version(newest):
        with _attribute(mmcv, '__version__', newest):
            import mmrazor
    else:
        import mmrazor

    # The quantisation tables use functions that PyTorch 2.0 removed. MMRazor
    # leaves the tables empty for torch < 1.13: say so while they are built.
    mappings = importlib.import_module(
        'torch.ao.quantization.fuser_method_mappings'
    )
    if hasattr(mappings, 'reverse2'):
        return

    def without_quantization(version: str, *args, **kwargs):
        if version == torch.__version__:
            version = '1.12.0'
        return digit_version(version, *args, **kwargs)

    with _attribute(mmrazor, 'digit_version', without_quantization):
        importlib.import_module(
            'mmrazor.structures.quantization.backend_config'
        )


def mend_pkd_loss() -> None:
    """Let MMRazor's ``PKDLoss`` return what is defined for one value.

    It divides by the standard deviation over batch and positions, which one
    value has not: loss and gradient are NaN. The one value less its mean is
    zero, whatever it is divided by, so both sides are zero, and the loss with
    them. Everywhere else the loss is MMRazor's, to the bit.

    Called by ``import mmdiffkd.models``: at :func:`setup`, importing
    MMRazor's models would be too early.
    """
    kind = importlib.import_module('mmrazor.models.losses.pkd_loss').PKDLoss
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if kind().norm(torch.ones(1, 1, 1, 1)).isfinite().all():
            return
    original = kind.norm

    def norm(self: Any, feat: torch.Tensor) -> torch.Tensor:
        if feat.dim() == 4 and feat.numel() == feat.shape[1]:
            return feat - feat  # with a gradient, of zero
        return original(self, feat)

    kind.norm = norm
