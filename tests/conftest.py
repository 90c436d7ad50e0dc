# Copyright (c) mmdiffkd contributors.
"""What holds for every test: threads, no network, no screen, shared data."""

import os
from contextlib import contextmanager
from pathlib import Path

# Before torch and numpy are imported, and inherited by child processes. One
# thread each: tests start several processes, and sums do not depend on cores.
for _name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_name, '1')
os.environ['MPLBACKEND'] = 'Agg'

# No network: whatever asks for it fails at once (port 9 discards) instead of
# hanging, or passing on one machine only. Local addresses stay reachable.
for _name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
    os.environ[_name] = 'http://127.0.0.1:9'
os.environ['no_proxy'] = os.environ['NO_PROXY'] = 'localhost,127.0.0.1'
os.environ['PIP_NO_INDEX'] = '1'

ROOT = Path(__file__).resolve().parent.parent
# Child processes run this checkout, whatever else is installed.
os.environ['PYTHONPATH'] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])
)

import mmengine.config.config as config_layout  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

# Before any file of tests imports MMRazor, which cannot be without it.
import mmdiffkd  # noqa: E402,F401

# A tiny set and detector, and ways to run the tools on them.
pytest_plugins = ('helpers.tools',)

torch.set_num_threads(1)

# MMEngine lays every config out that it logs or dumps, in half a second each.
_lay_out = config_layout.FormatCode
config_layout.FormatCode = lambda text, **_: (text, True)

# No deadline: a loaded machine is no failure. The same examples every time.
settings.register_profile('mmdiffkd', deadline=None, derandomize=True)
settings.load_profile('mmdiffkd')


@contextmanager
def _default_scopes_put_back():
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(autouse=True, scope='module')
def scope_of_a_module():
    """No file of tests finds the default scope that another one has set."""
    with _default_scopes_put_back():
        yield


@pytest.fixture(autouse=True)
def scope_of_a_test(scope_of_a_module):
    """Nor does a test."""
    with _default_scopes_put_back():
        yield


@pytest.fixture
def laid_out(monkeypatch):
    """Configs are laid out, as for a user."""
    monkeypatch.setattr(config_layout, 'FormatCode', _lay_out)


@pytest.fixture(scope='session')
def checkout() -> Path:
    """Root of this checkout."""
    return ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Folder of the real data sets, or a skip that says where it was sought.

    ``MMDIFFKD_SHARED_DATA`` names another folder than ``../shared/data``
    beside the checkout.
    """
    path = Path(
        os.environ.get('MMDIFFKD_SHARED_DATA', ROOT / '../shared/data')
    )
    if not path.is_dir():
        pytest.skip(
            f'no real data in {path}; set MMDIFFKD_SHARED_DATA to the '
            'folder that holds bccd/'
        )
    return path.resolve()
