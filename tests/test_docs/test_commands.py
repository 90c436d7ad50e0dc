# Copyright (c) mmdiffkd contributors.
"""Every command of every page is run by a test, or says what it needs."""

import ast
import importlib
import importlib.util
import re
import sys

import pytest
from mmengine.config import Config

from mmdiffkd import __main__ as entry

from . import shell

# Needs nothing, takes seconds: run here as it stands.
QUICK = ('make-config', 'print-config')

# Needs nothing but what it is given: the test that runs it in small.
IN_SMALL = {
    'benchmark': 'tests/test_engine/test_benchmark/test_command.py'
    '::test_table_and_file_agree',
    'compare-runs': 'tests/test_commands/test_compare_runs.py'
    '::test_mean_and_deviation_of_the_last_values',
    'estimate': 'tests/test_commands/test_estimate.py'
    '::test_tables_and_numbers',
    'export': 'tests/test_tools/test_export_student.py'
    '::test_content_of_the_exported_file',
    'plot': 'tests/test_visualization/test_run_groups.py'
    '::test_the_command_writes_one_picture_once',
    'visualize': 'tests/test_commands/test_visualize.py'
    '::test_pictures_and_numbers',
}


@pytest.fixture(scope='module')
def blocks(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp('shell')
    shell.make_folder(folder, checkout)
    return [
        block
        for page in shell.pages(checkout)
        for block in shell.read(page, checkout, folder)
    ]


@pytest.fixture(scope='module')
def command_of(checkout):
    path = checkout / 'tools/_command.py'
    spec = importlib.util.spec_from_file_location('_command', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.command_of


@pytest.fixture(scope='module')
def called(blocks, command_of):
    """Block, name and arguments of each call of a command of the package."""
    found = []
    for block in blocks:
        for program, *words in block.calls:
            if program == 'python' and words[:2] == ['-m', 'mmdiffkd']:
                words = words[2:]
            elif program == 'python' and words[0].endswith('.py'):
                words[0] = command_of(words[0])
            elif program == 'bash' and 'dist_' in words[0]:
                script, config, *words = words
                gpus = words.pop(0 if 'train' in script else 1)
                assert gpus.isdigit(), block
                words = [script[len('tools/dist_') : -3], config, *words]
            elif program == 'slurm_train.sh':
                words = ['train', words[2], '--work-dir', *words[3:]]
            elif program != 'mmdiffkd':
                continue
            if not words[0].startswith('-'):
                found.append((block, words[0], words[1:]))
    return found


def test_the_pages_have_commands(blocks, called):
    assert len(blocks) > 40 and len(called) > 80
    assert {name for _, name, _ in called} <= set(entry.commands())


def test_each_block_is_run_or_says_what_it_needs(blocks, called):
    open_calls = {}
    for block, name, words in called:
        if (
            name not in QUICK
            and name not in IN_SMALL
            and '--help' not in words
        ):
            open_calls.setdefault(block.text, f'{block.page}: {name}')
    for block in blocks:
        for program, *words in block.calls:
            if program in ('pip', 'pre-commit', 'sbatch') or (
                program == 'bash' and words[-1] != '--print-python'
            ):
                open_calls.setdefault(block.text, f'{block.page}: {program}')
    told = {block.text for block in blocks if block.needs or block.tests}
    missing = [where for text, where in open_calls.items() if text not in told]
    assert not missing, (
        'begin the block with `# needs ...`, or name what runs it in small '
        f'by `<!-- run: TEST -->` above it: {missing}'
    )


def test_tests_that_are_named_exist(blocks, checkout):
    named = {test for block in blocks for test in block.tests}
    for test in {*named, *IN_SMALL.values()}:
        path, _, function = test.partition('::')
        if not function:  # a script that tests run by, or in
            assert (checkout / path).is_file(), path
            continue
        tree = ast.parse((checkout / path).read_text())
        assert function in {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
        }, test


def test_programs_and_scripts_exist(blocks, checkout):
    for block in blocks:
        for program, *words in block.calls:
            for word in words:
                for script in re.findall(
                    r'(?<![\w/])tools/[\w/]+\.(?:sh|py)', word
                ):
                    assert (checkout / script).is_file(), (block.page, script)
            if program == 'python' and words[0] == '-c':
                compile(words[1], block.page, 'exec')
            if 'pytest' in words:
                for word in words:
                    if word.startswith('tests/'):
                        assert (checkout / word).exists(), word


def test_tests_that_the_text_names_exist(checkout):
    for page in shell.pages(checkout):
        named = re.findall(
            r'(?<![\w/])tests/[\w/]*\w(?:\.\w+)?', page.read_text()
        )
        for path in named:
            assert (checkout / path).exists(), (page, path)


def parsed(name, words):
    module = entry.commands()[name].stem
    command = importlib.import_module(f'mmdiffkd.commands.{module}')
    return command.parse_args(words)


def test_arguments_are_understood(called, capsys):
    for block, name, words in called:
        if name == 'quickstart':  # a script of the shell, with its own tests
            continue
        try:
            parsed(name, words)
        except SystemExit:
            pytest.fail(f'{block.page}: {name}: {capsys.readouterr().err}')


def has(cfg, key):
    """Whether a config has all but the last part of a key."""
    for part in key.split('.')[:-1]:
        try:
            cfg = cfg[int(part) if part.isdigit() else part]
        except (KeyError, IndexError):
            return False
    return True


def test_configs_are_there_and_have_what_is_set(called, checkout, monkeypatch):
    """A config of the checkout, and the keys that ``--cfg-options`` sets."""
    monkeypatch.chdir(checkout)
    seen = set()
    for block, name, words in called:
        if name == 'quickstart':
            continue
        args = parsed(name, words)
        names = getattr(args, 'config', None) or []
        options = getattr(args, 'cfg_options', None) or {}
        for path in [names] if isinstance(names, str) else names:
            if not path.startswith('configs/'):
                continue
            assert (checkout / path).is_file(), (block.page, path)
            if options and (path, *options) not in seen:
                seen.add((path, *options))
                cfg = Config.fromfile(path)
                for key in options:
                    assert has(cfg, key), (block.page, path, key)
                cfg.merge_from_dict(options)
    assert len(seen) > 8


@pytest.mark.slow
def test_quick_commands_run_as_they_stand(called, checkout, process, tmp_path):
    (tmp_path / 'configs').symlink_to(checkout / 'configs')
    ran = set()
    for block, name, words in called:
        if name not in QUICK:
            continue
        out = words.index('-o') if '-o' in words else len(words)
        if (name, *words[:out]) in ran:  # but for the file that it writes
            continue
        ran.add((name, *words[:out]))
        done = process(
            *(sys.executable, '-W', 'ignore', '-m', 'mmdiffkd', name, *words),
            *(['--overwrite'] if out < len(words) else []),
            cwd=tmp_path,
        )
        assert done.returncode == 0, (block.page, done.stderr[-2000:])
    assert len(ran) >= 3
