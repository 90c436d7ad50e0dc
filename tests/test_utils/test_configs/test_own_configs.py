# Copyright (c) mmdiffkd contributors.
"""`mmdiffkd::...` configs in a clone that nothing has been installed from."""

import os

import pytest

import mmdiffkd
from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.own_configs import link_own_configs


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A checkout without ``mmdiffkd/.mim``."""
    (tmp_path / 'setup.py').touch()
    (tmp_path / 'model-index.yml').touch()
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'mmdiffkd').mkdir()
    monkeypatch.setattr(
        mmdiffkd, '__file__', str(tmp_path / 'mmdiffkd' / '__init__.py')
    )
    return tmp_path


def test_links_are_made(clone):
    link_own_configs()
    link_own_configs()
    mim = clone / 'mmdiffkd' / '.mim'
    assert sorted(os.listdir(mim)) == ['configs', 'model-index.yml']
    assert (mim / 'configs').resolve() == clone / 'configs'


def test_bases_are_named_as_they_are_and_can_be_found(clone):
    names = ('mmdet::a/b.py', 'mmdiffkd::c/d.py')
    assert mmdiffkd.bases(*names) == list(names)
    assert (clone / 'mmdiffkd/.mim/configs').exists()


def test_folder_that_cannot_be_written_is_told(clone):
    (clone / 'mmdiffkd' / '.mim').touch()  # nobody, not even root, can
    with pytest.raises(UserError, match='setup.py link_mim'):
        link_own_configs()


def test_installed_package_is_left_alone(clone):
    (clone / 'setup.py').unlink()
    link_own_configs()
    assert not (clone / 'mmdiffkd' / '.mim').exists()
