# Copyright (c) mmdiffkd contributors.
"""What ``tools/setup_env.sh`` promises, without a download.

With pip kept off every index a set-up fails soon after it has made the
virtual environment: a real set-up that ends in the middle.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = Path(sys.prefix)
needs_environment = pytest.mark.skipif(
    not (ENVIRONMENT / '.finished').exists(),
    reason='not in an environment of tools/setup_env.sh; run '
    'tools/run_tests.sh',
)


def command(checkout: Path, *args) -> list:
    return ['bash', str(checkout / 'tools/setup_env.sh'), *args]


@pytest.fixture
def setup_env(checkout: Path, tmp_path: Path):
    """Run the script in a home of its own, without indexes or GPU build."""

    def run(*args, **env):
        return subprocess.run(
            command(checkout, *args),
            cwd=tmp_path,  # it must work from anywhere
            env=environ(tmp_path, **env),
            capture_output=True,
            text=True,
        )

    return run


def environ(tmp_path: Path, **env) -> dict:
    inherited = {k: v for k, v in os.environ.items() if k[:4] != 'PIP_'}
    defaults = dict(
        MMDIFFKD_HOME=str(tmp_path / 'home'),
        MMDIFFKD_OPS='cpu',
        PYTHON=sys.executable,
        CXX='true',
        PIP_NO_INDEX='1',
        PIP_CONFIG_FILE=os.devnull,
    )
    return {**inherited, **defaults, **env}


def refuses(done, *parts, code=1) -> None:
    """Assert that the last line names an error, and nothing went further."""
    assert done.returncode == code
    assert done.stdout == ''
    last = done.stderr.splitlines()[-1]
    assert last.startswith('setup_env.sh: error: '), done.stderr
    for part in parts:
        assert part in last


def test_help_lists_options_and_does_nothing(setup_env, tmp_path):
    done = setup_env('--help')
    assert done.returncode == 0 and done.stderr == ''
    for option in ('--python', '--print-python', 'MMDIFFKD_HOME'):
        assert option in done.stdout
    assert not (tmp_path / 'home').exists()


def test_unknown_argument_is_refused(setup_env):
    refuses(setup_env('--prnt-python'), "'--prnt-python'", '--help', code=2)


def test_argument_without_its_value_is_refused(setup_env):
    refuses(setup_env('--python'), '--python needs a value', code=2)


def test_missing_python_is_refused(setup_env):
    done = setup_env('--python', '/no/such/python')
    refuses(done, '/no/such/python', code=2)


@pytest.mark.parametrize('version', ['2.7', '3.9', '3.13', '3.110'])
def test_unsupported_python_is_refused(setup_env, tmp_path, version):
    other = tmp_path / 'python'
    other.write_text(f'#!/bin/sh\necho {version}\n')
    other.chmod(0o755)
    refuses(
        setup_env('--python', str(other)),
        str(other),
        f'Python {version}',
        '3.10 to 3.12',
        code=2,
    )


def test_unknown_ops_are_refused(setup_env):
    done = setup_env(MMDIFFKD_OPS='gpu')
    refuses(done, "'gpu'", 'auto, cpu or cuda', code=2)


def test_missing_compiler_is_named_before_any_download(setup_env, tmp_path):
    done = setup_env(CXX='no-such-compiler')
    refuses(done, 'no-such-compiler', 'apt install')
    assert not any((tmp_path / 'home/envs').iterdir())


def test_gpu_without_nvcc_is_said(setup_env, tmp_path):
    smi = tmp_path / 'bin/nvidia-smi'
    smi.parent.mkdir()
    smi.write_text('#!/bin/sh\necho "GPU 0: Some GPU (UUID: GPU-0)"\n')
    smi.chmod(0o755)
    (tmp_path / 'file').touch()
    done = setup_env(
        MMDIFFKD_OPS='auto',
        MMDIFFKD_HOME=str(tmp_path / 'file/home'),
        CUDA_HOME=str(tmp_path / 'no_cuda'),
        PATH=f'{smi.parent}:/usr/bin:/bin',
    )
    assert 'a GPU is here (GPU 0: Some GPU), but nvcc is not' in done.stderr
    assert 'Install the CUDA toolkit' in done.stderr
    refuses(done, 'cannot write to')  # it went on, with CPU operators


@pytest.mark.slow
def test_failure_names_the_log_and_its_last_lines(setup_env, tmp_path):
    done = setup_env()
    (log,) = (tmp_path / 'home/logs').iterdir()
    refuses(done, 'installing pip', str(log))
    last_line = log.read_text().splitlines()[-1]
    assert 'ERROR' in last_line and last_line in done.stderr


def damage_nothing(environment: Path) -> None:
    pass


def damage_interpreter(environment: Path) -> None:
    """Finished once, but its base interpreter is gone since."""
    (environment / '.finished').touch()
    (environment / 'bin/python').unlink()
    (environment / 'bin/python').symlink_to('/no/such/python')


@pytest.mark.slow
@pytest.mark.parametrize('damage', [damage_nothing, damage_interpreter])
def test_unusable_environment_is_built_anew(setup_env, tmp_path, damage):
    setup_env()  # ends in the middle
    (environment,) = (tmp_path / 'home/envs').iterdir()
    damage(environment)
    leftover = environment / 'leftover'
    leftover.touch()
    refuses(setup_env('--print-python'), 'installing pip')
    assert (environment / 'bin/python').exists() and not leftover.exists()


@pytest.mark.slow
def test_killed_set_up_is_not_taken_for_a_good_one(
    checkout, setup_env, tmp_path
):
    with subprocess.Popen(
        command(checkout),
        env=environ(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr:
            if 'creating the virtual environment' in line:
                process.kill()
                break
    again = setup_env('--print-python')
    assert 'creating the virtual environment' in again.stderr
    refuses(again, 'installing pip')


@needs_environment
def test_print_python_prints_the_interpreter_and_changes_nothing(
    setup_env, tmp_path
):
    home = ENVIRONMENT.parent.parent
    before = (ENVIRONMENT / '.finished').stat(), os.listdir(home / 'logs')
    # The environment may have been built with any operators.
    (ops,) = re.findall(r'^py[\d.]+-(cpu|cu)', ENVIRONMENT.name)
    done = setup_env(
        '--print-python',
        MMDIFFKD_HOME=str(home),
        MMDIFFKD_OPS='cpu' if ops == 'cpu' else 'cuda',
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'{ENVIRONMENT}/bin/python\n'
    after = (ENVIRONMENT / '.finished').stat(), os.listdir(home / 'logs')
    assert before == after


@needs_environment
def test_its_command_is_that_of_the_checkout_it_is_called_in(tmp_path):
    """Of any: several share the environment."""
    (tmp_path / 'mmdiffkd').mkdir()
    (tmp_path / 'mmdiffkd/__main__.py').write_text('print("another one")')
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(
        [ENVIRONMENT / 'bin/mmdiffkd', 'train'],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.stdout == 'another one\n', done.stderr
