# Copyright (c) mmdiffkd contributors.
"""The converters of CIFAR weights and images as command-line tools."""

import argparse
import io

import numpy as np
import pytest
import torch
from helpers import zoo
from PIL import Image

CRD = 'model_converters/convert_crd_zoo.py'
AKAMASTER = 'model_converters/convert_akamaster_cifar.py'
UNPACK = 'dataset_converters/cifar10_npz.py'


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """A file as CRD's training script writes it."""
    path = tmp_path_factory.mktemp('zoo') / 'ckpt_epoch_240.pth'
    weights, _, _ = zoo.published('wrn_16_2')
    torch.save(
        dict(
            epoch=240,
            model=dict(weights),
            opt=argparse.Namespace(model='wrn_16_2', learning_rate=0.05),
            best_acc=torch.tensor(73.26),
        ),
        path,
    )
    return path


def one_line(result, *words):
    """The tool failed with one line that has these words in it."""
    lines = result.err.strip().split('\n')
    return (
        result.code != 0
        and len(lines) == 1
        and lines[0].startswith('error:')
        and all(word in lines[0] for word in words)
    )


def test_crd_file_is_converted_whole(tool, teacher, tmp_path):
    out = tmp_path / 'new/wrn_16_2.pth'
    result = tool(CRD, teacher, out, '--model', 'wrn_16_2')
    assert result.code == 0, result.err
    state = torch.load(out, weights_only=True)['state_dict']
    source = torch.load(teacher, weights_only=False)['model']
    assert f'wrote {len(state)} tensors' in result.out
    assert len(state) == len(source)
    assert torch.equal(
        state['backbone.stages.1.0.downsample.weight'],
        source['block2.layer.0.convShortcut.weight'],
    )
    assert torch.equal(
        state['backbone.stages.2.2.running_var'], source['bn1.running_var']
    )
    assert torch.equal(state['head.fc.weight'], source['fc.weight'])


def test_existing_file_is_kept_unless_told(tool, teacher, tmp_path):
    out = tmp_path / 'out.pth'
    out.write_text('precious')
    arguments = (CRD, teacher, out, '--model', 'wrn_16_2')
    assert one_line(tool(*arguments), str(out), '--overwrite')
    assert out.read_text() == 'precious'
    assert tool(*arguments, '--overwrite').code == 0


def test_crd_mistakes_are_one_line(tool, teacher, tmp_path):
    out = tmp_path / 'out.pth'
    assert one_line(
        tool(CRD, teacher, out, '--model', 'wrn_16_3'),
        'wrn_16_3',
        "'wrn_16_2'",
    )
    assert one_line(
        tool(CRD, teacher, out, '--model', 'wrn_16_1'),
        str(teacher),
        'of another shape',
        'those of wrn_16_2',
    )
    assert one_line(
        tool(CRD, tmp_path / 'no.pth', out, '--model', 'wrn_16_2'),
        'no.pth',
        'does not exist',
    )
    text = tmp_path / 'text.pth'
    text.write_text('not a checkpoint')
    assert one_line(
        tool(CRD, text, out, '--model', 'wrn_16_2'),
        'text.pth',
        'not a PyTorch checkpoint',
    )
    torch.save(dict(epoch=3, best_acc=1.0), text)
    assert one_line(
        tool(CRD, text, out, '--model', 'wrn_16_2'), 'no weights', 'epoch'
    )
    assert not out.exists()


def test_akamaster_file_is_converted(tool, tmp_path):
    weights = zoo.Weights()
    zoo.resnet(
        weights,
        torch.zeros(1, 3, 32, 32),
        20,
        option='A',
        fc='linear',
        classes=10,
    )
    source, out = tmp_path / 'resnet20.th', tmp_path / 'resnet20.pth'
    torch.save(
        dict(
            best_prec1=91.73,
            state_dict={f'module.{k}': v for k, v in weights.items()},
        ),
        source,
    )
    result = tool(AKAMASTER, source, out)
    assert result.code == 0, result.err
    assert 'ResNet-20' in result.out
    state = torch.load(out, weights_only=True)['state_dict']
    assert len(state) == len(weights)
    assert one_line(tool(AKAMASTER, source, out), '--overwrite')


@pytest.fixture
def archives(tmp_path):
    """Two archives of five images, of one grey value each."""
    folder = tmp_path / 'archives'
    folder.mkdir()
    for split in ('train', 'test'):
        files = []
        for i in range(5):
            file = io.BytesIO()
            Image.new('RGB', (32, 32), (50 * i,) * 3).save(file, 'JPEG')
            files.append(file.getvalue())
        np.savez(
            folder / f'cifar10_{split}_jpeg.npz',
            blob=np.frombuffer(b''.join(files), np.uint8),
            offsets=np.cumsum([0] + [len(file) for file in files]),
            labels=np.array([1, 1, 0, 1, 0], np.uint8),
            classes=np.array(['cat', 'dog']),
        )
    return folder


def test_archives_become_an_image_folder(tool, archives, tmp_path):
    out = tmp_path / 'cifar10'
    result = tool(UNPACK, archives, out)
    assert result.code == 0, result.err
    assert '5 train images, 5 test images' in result.out
    # Classes take turns, each in its own order.
    assert (out / 'train.txt').read_text().split('\n') == [
        'cat/00002.jpg 0',
        'dog/00000.jpg 1',
        'cat/00004.jpg 0',
        'dog/00001.jpg 1',
        'dog/00003.jpg 1',
        '',
    ]
    with Image.open(out / 'train/cat/00004.jpg') as image:
        assert image.size == (32, 32)
        assert image.getpixel((5, 5)) == (200, 200, 200)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'archives',
        'cifar10',
    ]


def test_stock_dataset_reads_the_image_folder(
    tool, archives, tmp_path, checkout
):
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    out = tmp_path / 'cifar10'
    assert tool(UNPACK, archives, out).code == 0
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(checkout / 'configs/demo/cifar10_resnet20.py')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(dict(loader.dataset, data_root=str(out)))
        assert len(dataset) == 5
        sample = dataset[1]
        assert sample['inputs'].shape == (3, 32, 32)
        assert sample['data_samples'].gt_label.item() == 1


def test_mistakes_with_archives_are_one_line(tool, archives, tmp_path):
    out = tmp_path / 'cifar10'
    assert one_line(
        tool(UNPACK, tmp_path, out), 'cifar10_train_jpeg.npz', 'does not exist'
    )
    broken = archives / 'cifar10_test_jpeg.npz'
    with np.load(broken) as archive:
        content = dict(archive)
    np.savez(broken, **dict(content, labels=content['labels'][:4]))
    assert one_line(tool(UNPACK, archives, out), str(broken), 'do not fit')
    del content['labels']
    np.savez(broken, **content)
    assert one_line(tool(UNPACK, archives, out), "lacks ['labels']")
    broken.write_bytes(broken.read_bytes()[:99])
    assert one_line(tool(UNPACK, archives, out), str(broken), 'damaged')
    assert not out.exists()
    out.mkdir()
    assert one_line(tool(UNPACK, archives, out), '--overwrite')
