# Copyright (c) mmdiffkd contributors.
"""Wheels, sdists, editable installs and plain checkouts ship the configs."""

import json
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
from packaging.metadata import Metadata
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


@pytest.fixture(scope='module')
def built(checkout: Path, tmp_path_factory) -> dict:
    """The wheel and the sdist that ``python -m build`` makes, once."""
    folder = tmp_path_factory.mktemp('built')
    source = shutil.copytree(
        checkout,
        folder / 'source',
        ignore=shutil.ignore_patterns(*NOT_SOURCES),
    )
    # Without a network: with the setuptools of this environment.
    out = folder / 'dist'
    run(
        sys.executable,
        *('-m', 'build', '--no-isolation', '--outdir', out, source),
        cwd=folder,
    )
    (wheel,) = out.glob('mmdiffkd-*.whl')
    (sdist,) = out.glob('mmdiffkd-*.tar.gz')
    assert len(list(out.iterdir())) == 2
    return dict(wheel=wheel, sdist=sdist)


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
def test_wheel_ships_configs_and_tools(built, checkout):
    """The wheel of the sdist, which ``build`` makes, so the sdist has all."""
    found = in_wheel(built['wheel'])
    assert set(found) == shipped(checkout)
    for name, mode in found.items():
        assert bool(mode & 0o111) == os.access(checkout / name, os.X_OK), name
    assert found['tools/setup_env.sh'] & 0o111
    with zipfile.ZipFile(built['wheel']) as archive:
        tops = {name.split('/')[0] for name in archive.namelist()}
    assert tops == {'mmdiffkd', f'mmdiffkd-{mmdiffkd.__version__}.dist-info'}


@pytest.mark.slow
def test_metadata_says_what_an_installation_brings(built, checkout):
    with zipfile.ZipFile(built['wheel']) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith('/METADATA'))
        metadata = Metadata.from_email(archive.read(name))
    assert metadata.name == 'mmdiffkd'
    assert str(metadata.version) == mmdiffkd.__version__
    assert metadata.description.startswith('# mmdiffkd')
    asked = {
        canonicalize_name(r.name): r.marker for r in metadata.requires_dist
    }
    assert asked['mmrazor'] is None
    # MIM's convention. Required outright they would replace a fork.
    for library in ('mmcv', 'mmengine'):
        assert str(asked[library]) == 'extra == "mim"'
    assert {'det', 'seg', 'cls', 'demo'} <= set(metadata.provides_extra)


@pytest.mark.slow
def test_wheel_of_sdist_equals_wheel_of_checkout(built, source, tmp_path):
    direct = build_wheel(source, tmp_path / 'direct')
    names = []
    for wheel in (direct, built['wheel']):
        with zipfile.ZipFile(wheel) as archive:
            names.append(sorted(archive.namelist()))
    assert names[0] == names[1]
    assert in_wheel(direct) == in_wheel(built['wheel'])


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
@pytest.mark.parametrize('kind', ['wheel', 'sdist'])
def test_installed_package_has_commands_and_configs(
    kind, built, fresh_python, tmp_path
):
    install(fresh_python, built[kind])
    package = resolves_config(fresh_python, tmp_path)
    assert tmp_path / 'env' in package.parents
    command = fresh_python.parent / 'mmdiffkd'
    assert 'print-config' in run(command, '--help', cwd=tmp_path)
    usage = run(command, 'quickstart', '--help', cwd=tmp_path)
    assert '--rehearse' in usage
    assert os.access(package / '.mim/tools/setup_env.sh', os.X_OK)


@pytest.mark.slow
def test_installed_wheel_rehearses_the_quickstart(
    built, fresh_python, tmp_path
):
    """From data to report, where the user is, with nothing of a checkout."""
    install(fresh_python, built['wheel'])
    (package,) = (tmp_path / 'env').glob('lib/python*/site-packages/mmdiffkd')
    before = sorted(package.rglob('[!_]*.*'))
    here = tmp_path / 'here'
    here.mkdir()
    said = run(
        *(fresh_python.parent / 'mmdiffkd', 'quickstart', '--rehearse'),
        *('--task', 'cls', '--work-dir', 'run'),
        cwd=here,
    )
    assert 'stock ImageClassificationInferencer' in said
    numbers = json.loads((here / 'run/cls/report.json').read_text())
    assert {model['iterations'] for model in numbers.values()} == {8}
    assert sorted(p.name for p in here.iterdir()) == ['data', 'run']
    assert sorted(package.rglob('[!_]*.*')) == before


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
