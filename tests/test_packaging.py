# Copyright (c) mmdiffkd contributors.
"""Wheels, sdists, editable installs and plain checkouts ship the configs."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mmdiffkd

NOT_SOURCES = (
    '.git',
    '.mim',
    'build',
    'dist',
    'work_dirs',
    'data',
    '__pycache__',
    '.pytest_cache',
    '*.egg-info',
)
# Reads a config through `mmdiffkd::`, and says which mmdiffkd did it.
PROBE = """
import mmdiffkd
from mmengine.config import Config
assert Config.fromfile('probe.py').distiller.type
print(mmdiffkd.__file__)
"""


def run(*command, cwd: Path, **env: str) -> str:
    """Run a command without this checkout on its path; return its output."""
    environ = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def pip(*args, cwd: Path) -> str:
    return run(sys.executable, '-m', 'pip', *args, cwd=cwd)


def build_wheel(source: Path, out: Path) -> Path:
    pip(
        'wheel',
        '--no-deps',
        '--no-build-isolation',
        '--no-index',
        '-w',
        out,
        source,
        cwd=out.parent,
    )
    (wheel,) = out.glob('mmdiffkd-*.whl')
    return wheel


def resolves_config(python: Path, cwd: Path, **env: str) -> Path:
    """Load a config with an ``mmdiffkd::`` base; return the package folder."""
    (cwd / 'probe.py').write_text(
        "_base_ = ['mmdiffkd::_base_/distillers/diffkd_fpn.py']\n"
    )
    output = run(python, '-W', 'ignore', '-c', PROBE, cwd=cwd, **env)
    return Path(output.splitlines()[-1]).parent


@pytest.fixture
def source(checkout: Path, tmp_path: Path) -> Path:
    """A copy of the checkout, since builds write into their source."""
    return Path(
        shutil.copytree(
            checkout,
            tmp_path / 'source',
            ignore=shutil.ignore_patterns(*NOT_SOURCES),
        )
    )


@pytest.fixture
def fresh_python(tmp_path: Path) -> Path:
    """An environment without mmdiffkd that sees the libraries of this one."""
    run(
        sys.executable,
        '-m',
        'venv',
        '--without-pip',
        tmp_path / 'env',
        cwd=tmp_path,
    )
    (site,) = (tmp_path / 'env').glob('lib/python*/site-packages')
    # `--system-site-packages` would mean those of the base interpreter.
    parent = sysconfig.get_path('purelib')
    (site / 'parent.pth').write_text(
        f'import site; site.addsitedir({parent!r})\n'
    )
    return tmp_path / 'env/bin/python'


def install(python: Path, *what) -> None:
    pip(
        '--python',
        python,
        'install',
        '--no-deps',
        '--no-build-isolation',
        '--no-index',
        '--ignore-installed',
        *what,
        cwd=python.parent,
    )


def shipped(source: Path) -> set:
    """Paths of what must be in ``.mim``, relative to it."""
    files = {'model-index.yml'}
    for folder in ('configs', 'tools'):
        files |= {
            path.relative_to(source).as_posix()
            for path in (source / folder).rglob('*')
            if path.is_file()
        }
    return files


def in_wheel(wheel: Path) -> dict:
    """Paths in ``.mim`` of a wheel, with their modes."""
    prefix = 'mmdiffkd/.mim/'
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename[len(prefix) :]: info.external_attr >> 16
            for info in archive.infolist()
            if info.filename.startswith(prefix)
        }


@pytest.mark.slow
def test_wheel_ships_configs_and_tools(source, tmp_path):
    wheel = build_wheel(source, tmp_path / 'wheels')
    found = in_wheel(wheel)
    assert set(found) == shipped(source)
    for name, mode in found.items():
        assert bool(mode & 0o111) == os.access(source / name, os.X_OK), name
    assert found['tools/setup_env.sh'] & 0o111
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split('/')[0] for name in archive.namelist()}
    assert tops == {'mmdiffkd', f'mmdiffkd-{mmdiffkd.__version__}.dist-info'}


@pytest.mark.slow
def test_wheel_of_sdist_equals_wheel_of_checkout(source, tmp_path):
    run(
        sys.executable,
        '-c',
        'from setuptools import build_meta; build_meta.build_sdist("../out")',
        cwd=source,
    )
    (sdist,) = (tmp_path / 'out').glob('mmdiffkd-*.tar.gz')
    direct = build_wheel(source, tmp_path / 'direct')
    through_sdist = build_wheel(sdist, tmp_path / 'through_sdist')
    names = []
    for wheel in (direct, through_sdist):
        with zipfile.ZipFile(wheel) as archive:
            names.append(sorted(archive.namelist()))
    assert names[0] == names[1]
    assert in_wheel(direct) == in_wheel(through_sdist)


@pytest.mark.slow
def test_removed_config_is_not_shipped_by_the_next_build(source, tmp_path):
    extra = source / 'configs/det/gone_tomorrow.py'
    extra.write_text('x = 1\n')
    first = build_wheel(source, tmp_path / 'first')
    extra.unlink()
    second = build_wheel(source, tmp_path / 'second')
    assert set(in_wheel(first)) - set(in_wheel(second)) == {
        'configs/det/gone_tomorrow.py'
    }


@pytest.mark.slow
def test_installed_wheel_answers_mmdiffkd_configs(
    source, fresh_python, tmp_path
):
    install(fresh_python, build_wheel(source, tmp_path / 'wheels'))
    package = resolves_config(fresh_python, tmp_path)
    assert tmp_path / 'env' in package.parents
    command = fresh_python.parent / 'mmdiffkd'
    assert 'print-config' in run(command, '--help', cwd=tmp_path)
    assert os.access(package / '.mim/tools/setup_env.sh', os.X_OK)


@pytest.mark.slow
def test_editable_install_answers_mmdiffkd_configs(
    source, fresh_python, tmp_path
):
    install(fresh_python, '-e', source)
    # Links, so that an edited config counts without a new installation.
    for name in ('configs', 'tools', 'model-index.yml'):
        assert (source / 'mmdiffkd/.mim' / name).resolve() == source / name
    assert resolves_config(fresh_python, tmp_path) == source / 'mmdiffkd'


@pytest.mark.slow
def test_checkout_on_the_path_answers_mmdiffkd_configs(
    source, fresh_python, tmp_path
):
    for _ in range(2):  # the second time finds everything in place
        run(sys.executable, 'setup.py', '-q', 'link_mim', cwd=source)
    assert sorted(os.listdir(source / 'mmdiffkd/.mim')) == [
        'configs',
        'model-index.yml',
        'tools',
    ]
    package = resolves_config(fresh_python, tmp_path, PYTHONPATH=str(source))
    assert package == source / 'mmdiffkd'


def test_model_index_imports_every_metafile(checkout):
    index = yaml.safe_load((checkout / 'model-index.yml').read_text())
    there = {
        path.relative_to(checkout).as_posix()
        for path in checkout.glob('configs/*/metafile.yml')
    }
    assert there and set(index['Import']) == there


def read_requirements(path: Path) -> list:
    lines = (
        line.partition('#')[0].strip()
        for line in path.read_text().splitlines()
    )
    return [Requirement(line) for line in lines if line]


def test_constraints_pin_what_the_requirements_allow(checkout):
    folder = checkout / 'requirements'
    pinned = {}
    for requirement in read_requirements(folder / 'constraints.txt'):
        (version,) = re.fullmatch(
            r'==([\w.]+)', str(requirement.specifier)
        ).groups()
        pinned[canonicalize_name(requirement.name)] = version
    for path in folder.glob('*.txt'):
        for requirement in read_requirements(path):
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f'{path.name}: {requirement} is not pinned'
            assert requirement.specifier.contains(version), path.name


def test_version_is_the_same_everywhere(checkout):
    citation = yaml.safe_load((checkout / 'CITATION.cff').read_text())
    assert str(citation['version']) == mmdiffkd.__version__
    assert (
        f'## {mmdiffkd.__version__}' in (checkout / 'CHANGELOG.md').read_text()
    )
