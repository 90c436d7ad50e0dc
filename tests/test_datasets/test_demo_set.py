# Copyright (c) mmdiffkd contributors.
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdiffkd.datasets import CLASSES, make_demo_set
from mmdiffkd.utils import UserError

TOOL = Path(__file__).parents[2] / 'tools' / 'make_demo_data.py'
SCENES = dict(train=6, val=2, test=4)


def read_all(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    root, made = make_demo_set(tmp_path_factory.mktemp('demo'), scenes=SCENES)
    assert made
    return root


def open_split(root, split):
    return COCO(str(root / 'annotations' / f'instances_{split}.json'))


def test_equal_parameters_give_equal_bytes(demo, tmp_path):
    again, _ = make_demo_set(tmp_path, scenes=SCENES)
    assert read_all(again) == read_all(demo)
    assert len(read_all(demo)) == 12 + 3 + 1


def test_seeds_give_other_scenes(demo, tmp_path):
    other, _ = make_demo_set(tmp_path, scenes=SCENES, seed=1)
    name = 'test/000001.jpg'
    assert read_all(other)[name] != read_all(demo)[name]


def test_longer_set_begins_with_the_shorter_one(demo, tmp_path):
    longer, _ = make_demo_set(tmp_path, scenes=dict(SCENES, train=7))
    name = 'train/000006.jpg'
    assert read_all(longer)[name] == read_all(demo)[name]


@pytest.mark.parametrize('split', SCENES)
def test_annotations_describe_the_images(demo, split):
    coco = open_split(demo, split)
    assert len(coco.imgs) == SCENES[split]
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(
        CLASSES
    )
    for image in coco.imgs.values():
        pixels = cv2.imread(str(demo / split / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
        assert coco.getAnnIds(image['id'])
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        rows, cols = np.nonzero(mask)
        box = [cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1]
        assert annotation['bbox'] == box
        assert annotation['area'] == mask.sum()


def test_no_handwriting_leaks_between_splits(demo):
    seen = [
        {a['sample_id'] for a in open_split(demo, split).anns.values()}
        for split in SCENES
    ]
    assert seen[0] and seen[1] and seen[2]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_stock_coco_dataset_reads_it(demo):
    from mmdet.datasets import CocoDataset
    from mmdet.utils import register_all_modules

    register_all_modules()
    dataset = CocoDataset(
        data_root=str(demo),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(classes=CLASSES),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs'),
        ],
    )
    assert len(dataset) == SCENES['train']
    coco = open_split(demo, 'train')
    for item in dataset:
        instances = item['data_samples'].gt_instances
        anns = coco.imgToAnns[item['data_samples'].img_id]
        assert instances.labels.tolist() == [
            a['category_id'] - 1 for a in anns
        ]
        areas = instances.masks.masks.sum(axis=(1, 2))
        assert areas.tolist() == [a['area'] for a in anns]


def test_whole_set_is_reused_untouched(demo):
    before = {p: p.stat().st_mtime_ns for p in demo.rglob('*')}
    root, made = make_demo_set(demo.parent, scenes=SCENES)
    assert (root, made) == (demo, False)
    assert before == {p: p.stat().st_mtime_ns for p in demo.rglob('*')}


def test_different_set_is_refused_then_replaced(tmp_path):
    small = dict(train=1, val=1, test=1)
    root, _ = make_demo_set(tmp_path, scenes=small)
    before = read_all(root)
    with pytest.raises(UserError, match=r'seed \(0, not 7\).*--overwrite'):
        make_demo_set(tmp_path, scenes=small, seed=7)
    assert read_all(root) == before
    _, made = make_demo_set(tmp_path, scenes=small, seed=7, overwrite=True)
    assert made and read_all(root) != before
    assert [p.name for p in tmp_path.iterdir()] == ['det']


@pytest.mark.parametrize('harm', ['remove', 'change', 'manifest'])
def test_damaged_set_is_refused(tmp_path, harm):
    small = dict(train=1, val=1, test=1)
    root, _ = make_demo_set(tmp_path, scenes=small)
    image = root / 'val' / '000001.jpg'
    if harm == 'remove':
        image.unlink()
    elif harm == 'change':
        image.write_bytes(b'no image')
    else:
        (root / 'demo_set.json').write_text('{"format":')
    with pytest.raises(UserError, match='damaged'):
        make_demo_set(tmp_path, scenes=small)


def test_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / 'det').mkdir()
    (tmp_path / 'det' / 'thesis.tex').write_text('years of work')
    with pytest.raises(UserError, match='no demo set'):
        make_demo_set(tmp_path, overwrite=True)
    assert (tmp_path / 'det' / 'thesis.tex').read_text() == 'years of work'


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):

    def full_disk(path, data):
        raise OSError('No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(OSError):
        make_demo_set(tmp_path, scenes=SCENES)
    assert not list(tmp_path.iterdir())


def run_tool(*args):
    # As a user calls it: the tool finds its own checkout.
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, args)],
        capture_output=True,
        text=True,
        env=env,
    )


def test_tool_makes_reuses_and_refuses(tmp_path):
    options = ['--out', tmp_path, '--scenes', 2, 1, 1]
    made = run_tool(*options)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith('Made')
    assert 'train 2 images' in made.stdout
    images = json.loads(
        (tmp_path / 'det/annotations/instances_train.json').read_text()
    )
    assert len(images['images']) == 2
    assert run_tool(*options).stdout.startswith('Found, unchanged')
    refused = run_tool(*options, '--size', 192)
    assert refused.returncode == 2
    assert refused.stderr.startswith('error: The demo set in')
    assert 'style' in refused.stderr


@pytest.mark.parametrize(
    'bad',
    [
        ['--scenes', '1', '0', '1'],
        ['--size', '20'],
        ['--task', 'audio'],
        ['--seed', '-1'],
    ],
)
def test_tool_rejects_bad_options(tmp_path, bad):
    result = run_tool('--out', tmp_path, *bad)
    assert result.returncode == 2
    assert bad[0] in result.stderr
    assert not list(tmp_path.iterdir())
