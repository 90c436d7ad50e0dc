# Copyright (c) mmdiffkd contributors.
"""An exported student opens in MMPretrain's own inferencer."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import cls_tiny as tiny
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmdiffkd.utils.checkpoints.export import export_student

CLASSES = [f'class {index}' for index in range(100)]


def opens(config, checkpoint, weights):
    """Open a checkpoint by MMPretrain's means, and classify a picture."""
    inferencer = ImageClassificationInferencer(
        model=str(config), pretrained=str(checkpoint), device='cpu'
    )
    own = inferencer.model.state_dict()
    assert set(own) == set(weights)
    assert all(torch.equal(own[key], weights[key]) for key in own)
    picture = np.random.default_rng(0).integers(
        0, 256, (32, 32, 3), dtype=np.uint8
    )
    (result,) = inferencer(picture)
    return result


def test_exported_student_opens_with_its_stock_config(tmp_path):
    torch.manual_seed(0)
    name = 'diffkd_r56_r20_cifar100.py'
    model = tiny.build(tiny.load(name))
    path = tmp_path / 'epoch_240.pth'
    meta = dict(
        cfg=tiny.load(name).pretty_text,
        dataset_meta=dict(classes=CLASSES),
        epoch=240,
        iter=1,
    )
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)

    exported = export_student(str(path))

    assert exported.needs == ['mmdiffkd.CIFARResNet']
    checkpoint = torch.load(exported.path, weights_only=True)
    weights = model.architecture.state_dict()
    baseline = tiny.CLS / 'baselines/resnet20_cifar100.py'
    result = opens(baseline, exported.path, weights)
    assert result['pred_class'] == CLASSES[result['pred_label']]
    # The config in the file itself, without a trace of the distillation.
    own = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    assert own.model.type == 'ImageClassifier'
    assert own.data_preprocessor.mean == [129.304, 124.070, 112.434]
    own.dump(tmp_path / 'own.py')
    assert (
        opens(tmp_path / 'own.py', exported.path, weights)['pred_label']
        == result['pred_label']
    )


# Two classes of images, small ones, and a small diffusion model.
CHILD = """
_base_ = {base!r}
_base_.train_pipeline[1].scale = 64
_base_.test_pipeline[1].scale = 64
_base_.test_pipeline[2].crop_size = 64
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root={root!r},
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root={root!r},
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(topk=(1, ))
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(save_best=None))
model = dict(
    architecture=dict(head=dict(num_classes=2)),
    teacher=dict(cfg_options={{'model.head.num_classes': 2}}),
    teacher_ckpt=None,
    allow_random_teacher=True,
    distiller=dict(
        connectors=dict(
            diff_feature=dict(latent_channels=32),
            diff_logits=dict(student_channels=2, teacher_channels=2))))
"""


@pytest.mark.slow
def test_a_strong_schedule_runs_from_training_to_the_inferencer(tmp_path):
    """RandAugment, erasing, smoothed labels and averaged weights (B2)."""
    rng = np.random.default_rng(0)
    for label in ('cat', 'dog'):
        folder = tmp_path / 'images' / label
        folder.mkdir(parents=True)
        for index in range(3):
            picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / f'{index}.png'), picture)
    pair = tiny.CLS / 'diffkd_r50-sb_mobilenet-v2_b2_in1k.py'
    config = tmp_path / 'child.py'
    config.write_text(
        CHILD.format(base=str(pair), root=str(tmp_path / 'images'))
    )

    def run(*command):
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=tiny.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=540,
        )
        assert done.returncode == 0, done.stdout[-4000:]

    run('tools/train.py', config, '--work-dir', tmp_path / 'work')
    path = tmp_path / 'work/epoch_1.pth'
    run(
        'tools/model_converters/export_student.py',
        path,
        tmp_path / 'student.pth',
        '--ema',
    )
    checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    # MMEngine puts the averaged weights in the place of the trained ones.
    averaged = {
        name[len('architecture.') :]: value
        for name, value in checkpoint['state_dict'].items()
        if name.startswith('architecture.')
    }
    assert not any('teacher' in name for name in checkpoint['state_dict'])
    assert 'ema_state_dict' in checkpoint
    own = torch.load(tmp_path / 'student.pth', weights_only=True)['meta']
    Config.fromstring(own['cfg'], '.py').dump(tmp_path / 'own.py')
    result = opens(tmp_path / 'own.py', tmp_path / 'student.pth', averaged)
    assert result['pred_class'] in ('cat', 'dog')
