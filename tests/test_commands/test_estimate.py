# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd estimate``: its output, and its answers to mistakes."""

import json
from pathlib import Path

import mmpretrain
import pytest

from mmdiffkd.commands.estimate import main

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / 'configs/demo/digits_cls_diffkd.py')
SMALL = ['--batch-size', '2', '--input-size', '32', '32', '--no-settings']


@pytest.mark.slow
def test_tables_and_numbers(tmp_path, capsys):
    file = tmp_path / 'cost.json'
    main([CONFIG, '--batch-size', '4', '--json', str(file)])
    shown = capsys.readouterr().out
    found = json.loads(file.read_text())[CONFIG]
    assert found['batch_size'] == 4
    assert set(found['parts']) == {'student', 'teacher', 'distiller'}
    for word in ('student', 'teacher', 'distiller', 'with_cp', '24 GiB'):
        assert word in shown
    peak = sum(sum(part['peak'].values()) for part in found['parts'].values())
    assert peak == pytest.approx(found['peak'])
    assert f'{found["peak"]:,.0f}' in shown


def test_a_result_is_kept_where_the_next_config_fails(tmp_path, capsys):
    file, bad = tmp_path / 'cost.json', tmp_path / 'bad.py'
    bad.write_text(
        f'_base_ = {CONFIG!r}\nmodel = dict(teacher_trainable=True)\n'
    )
    with pytest.raises(SystemExit) as ended:
        main([CONFIG, str(bad), *SMALL, '--json', str(file)])
    assert ended.value.code == 2
    assert 'teacher_trainable=True' in capsys.readouterr().err
    assert list(json.loads(file.read_text())) == [CONFIG]


def test_a_config_that_a_library_ships(capsys):
    main(['mmpretrain::resnet/resnet18_8xb16_cifar10.py', *SMALL])
    assert 'student' in capsys.readouterr().out


def test_numbers_that_cannot_be_written_are_shown(tmp_path, capsys):
    file = tmp_path / 'cost.json'
    file.symlink_to(tmp_path / 'no' / 'cost.json')
    with pytest.raises(SystemExit) as ended:
        main([CONFIG, *SMALL, '--json', str(file)])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert 'distiller' in said.out
    assert said.err.startswith(f'error: --json {file} could not be written')


@pytest.mark.parametrize(
    'arguments, word',
    [
        (['--batch-size', '0'], '--batch-size'),
        (['--input-size', '0', '8'], '--input-size'),
        (['--gpu-memory', '-1'], '--gpu-memory'),
        (['--gpu-memory', 'nan'], '--gpu-memory'),
        (['--json', 'no/such/folder.json'], '--json'),
        (['--json', __file__], '--overwrite'),
        (['--readme', 'no/such/file.md'], '--readme'),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_built(
    arguments, word, capsys
):
    with pytest.raises(SystemExit) as ended:
        main([CONFIG, *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith('error: ') and word in said
    assert '\n' not in said


@pytest.mark.parametrize(
    'config, words, said',
    [
        (CONFIG, ['--input-size', '1', '1'], 'Try another --input-size'),
        (
            'simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py',
            ['--input-size', '64', '64'],
            'self-supervised',
        ),
    ],
)
def test_batches_that_no_step_can_be_taken_on(config, words, said, capsys):
    if config != CONFIG:
        config = Path(mmpretrain.__file__).parent / '.mim/configs' / config
    with pytest.raises(SystemExit) as ended:
        main([str(config), *words, '--batch-size', '1', '--no-settings'])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert said in message and message.count('error: ') == 1


def test_mistakes_are_found_before_the_first_estimate(tmp_path, capsys):
    # A table, and the last of several configs.
    readme = tmp_path / 'README.md'
    readme.write_text('nothing')
    for words, word in (
        ([CONFIG, '--readme', str(readme)], 'costs: begin'),
        ([CONFIG, 'no_such_config.py'], 'no_such_config.py'),
    ):
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr()
        assert word in said.err and not said.out


def test_a_config_that_does_not_exist(capsys):
    with pytest.raises(SystemExit) as ended:
        main(['no_such_config.py'])
    assert ended.value.code == 2
    assert 'no_such_config.py' in capsys.readouterr().err


def test_a_config_without_a_model(tmp_path, capsys):
    file = tmp_path / 'empty.py'
    file.write_text('a = 1\n')
    with pytest.raises(SystemExit) as ended:
        main([str(file)])
    assert ended.value.code == 2
    assert 'defines no model' in capsys.readouterr().err
