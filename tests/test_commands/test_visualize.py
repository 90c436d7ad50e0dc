# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd visualize``: pictures and numbers of a trained distillation."""

import json
import re
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from helpers.tools import forget_runs
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmdiffkd.commands import visualize


@pytest.fixture(scope='module')
def saved(tiny, tmp_path_factory):
    """A checkpoint of the tiny distillation, and parts of it."""
    folder = tmp_path_factory.mktemp('saved')
    cfg = Config.fromfile(tiny.distill)
    with DefaultScope.overwrite_default_scope('mmdet'):
        state = MODELS.build(cfg.model).state_dict()
    parts = dict(
        whole=state,
        student={
            key.removeprefix('architecture.'): value
            for key, value in state.items()
            if key.startswith('architecture.')
        },
        part={k: v for k, v in state.items() if 'denoiser' not in k},
        more={**state, 'distiller.connectors.diff_p9.x': torch.zeros(1)},
    )
    for name, weights in parts.items():
        torch.save(dict(state_dict=weights), folder / f'{name}.pth')
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        try:
            visualize.main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = end.code
        finally:
            forget_runs()
        out, err = capsys.readouterr()
        return code, out, err.split('error: ')[-1].strip()

    return call


def test_pictures_and_numbers(run, tiny, saved, tmp_path):
    images = Path(tiny.image).parent
    words = [tiny.distill, saved / 'whole.pth', images]
    code, out, err = run(*words, '-o', 'seen', '--limit', 3, '--rows', 2)
    assert code == 0, err
    assert 'diff_p3' in out and 'means over 3 images' in out
    assert sorted(p.name for p in Path('seen').iterdir()) == [
        'diff_p3.png',
        'means.png',
        'numbers.json',
    ]
    numbers = json.loads(Path('seen/numbers.json').read_text())
    assert [Path(name).name for name in numbers['images']] == [
        '0.png',
        '2.png',
        '5.png',
    ]
    assert numbers['pairs']['diff_p3']['after'] == 'denoised'
    height, width, _ = cv2.imread('seen/diff_p3.png').shape
    assert 400 < height < 800 and width > 1500  # two rows of nine panels

    # What is there stays, until it is told to go.
    before = Path('seen/numbers.json').read_bytes()
    code, _, message = run(*words, '-o', 'seen', '--limit', 1)
    assert code == 2 and '--overwrite' in message
    assert Path('seen/numbers.json').read_bytes() == before


def test_a_folder_that_cannot_be_made_loses_no_table(
    run, tiny, saved, tmp_path
):
    (tmp_path / 'seen').symlink_to(tmp_path / 'gone' / 'seen')
    code, out, message = run(
        tiny.distill, saved / 'whole.pth', tiny.image, '-o', 'seen'
    )
    assert code == 2 and 'diff_p3' in out
    assert message.startswith('--out seen could not be written')


def test_wrong_checkpoints_and_images(run, tiny, saved, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'torn.png').write_text('no image')
    shutil.copy(tiny.image, tmp_path / 'a.png')
    for config, checkpoint, image, expected in (
        (tiny.distill, 'student.pth', 'a.png', 'a student alone'),
        (tiny.distill, 'part.pth', 'a.png', 'not in it, such as .*denoiser'),
        (tiny.distill, 'more.pth', 'a.png', 'but not in the model.*diff_p9'),
        (tiny.distill, 'gone.pth', 'a.png', 'gone.pth.*does not exist'),
        (tiny.student, 'whole.pth', 'a.png', 'is no distillation'),
        (tiny.distill, 'whole.pth', 'b.png', 'image b.png does not exist'),
        (tiny.distill, 'whole.pth', 'empty', 'empty holds no image'),
        (tiny.distill, 'whole.pth', 'torn.png', 'torn.png: .* cannot read it'),
    ):
        code, _, message = run(
            config, saved / checkpoint, image, '-o', tmp_path / 'out'
        )
        assert code == 2
        assert re.search(expected, message), message
        assert '\n' not in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'words, expected',
    [
        (['--rows', 0], '--rows must be at least 1, got 0'),
        (['--limit', -1], '--limit must be at least 1, got -1'),
        (['--seed', -1], '--seed must not be negative'),
        (['-o', __file__], 'is a file, and a folder is needed'),
        (['--device', 'foo'], '--device foo: '),
        (['--device', 'meta'], '--device meta: use cpu or cuda'),
        pytest.param(
            ['--device', 'cuda'],
            '; name another, such as cpu',
            marks=pytest.mark.skipif(
                torch.cuda.is_available(), reason='there is a GPU'
            ),
        ),
    ],
)
def test_wrong_arguments(run, words, expected):
    code, _, message = run('c.py', 'c.pth', 'x.png', '-o', 'out', *words)
    assert code == 2 and expected in message
