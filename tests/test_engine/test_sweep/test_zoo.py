# Copyright (c) mmdiffkd contributors.
"""Stock configs: which are there, and which are of one model."""

import pytest

from mmdiffkd.engine.sweep.exclusions import OTHER, reason
from mmdiffkd.engine.sweep.zoo import (
    LIBRARIES,
    load_untrained,
    signature,
    stock_configs,
)


@pytest.fixture(scope='module')
def files():
    return {c.name: c for library in LIBRARIES for c in stock_configs(library)}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # restored, whatever a load changes


def test_configs_of_all_libraries_are_found_and_bases_are_not(files):
    assert {c.library for c in files.values()} == set(LIBRARIES)
    assert len(files) > 1500
    assert not any('_base_' in name for name in files)
    assert files['mmdet::gfl/gfl_r50_fpn_1x_coco.py'].family == 'gfl'


def mark(files, name):
    return signature(load_untrained(files[name].file))


def test_a_schedule_makes_no_other_model_and_a_depth_does(files):
    one = mark(files, 'mmdet::gfl/gfl_r50_fpn_1x_coco.py')
    assert one == mark(files, 'mmdet::gfl/gfl_r50_fpn_ms-2x_coco.py')
    assert one != mark(files, 'mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py')
    one = mark(
        files, 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    )
    assert one == mark(
        files, 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-769x769.py'
    ) or one == mark(
        files, 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'
    )


@pytest.mark.parametrize(
    'name',
    [
        'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
        'mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py',
        'mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_'
        'ade20k-512x512.py',
        'mmpretrain::swin_transformer/swin-large_8xb8_cub-384px.py',
    ],
)
def test_nothing_is_left_that_names_weights(files, name):
    cfg = load_untrained(files[name].file)
    text = str(cfg.model)
    assert "'Pretrained'" not in text
    assert '.pth' not in text and 'torchvision://' not in text
    assert cfg.load_from is None


@pytest.mark.parametrize(
    'error, words',
    [
        (
            'RuntimeError: lap is not installed, please install it by: pip '
            'install lap',
            'missing package: lap',
        ),
        (
            'ImportError: TIMMBackbone requires timm, please install it by '
            '`pip install "timm"`.',
            'missing package: timm',
        ),
        (
            'ImportError: RAM requires extra multi-modal dependencies, please '
            'install it by `pip install "mmpretrain[multimodal]"`',
            'missing package: mmpretrain[multimodal]',
        ),
        ("ModuleNotFoundError: No module named 'x.y'", 'missing package: x'),
        ('MemoryLimit: over 6 GiB', 'memory limit'),
        ('OSError: no network in a sweep', 'needs a download'),
        ('other input: text', 'other input: text'),
        ('ValueError: 3 is not 4', OTHER),
    ],
)
def test_the_class_of_an_exclusion(error, words):
    assert reason(error) == words
