# Copyright (c) mmdiffkd contributors.
"""The CamVid demo: every method trains, on processes and real images too."""

import os
import subprocess
import sys

import pytest
import torch
from helpers import seg_tiny as tiny
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner, load_checkpoint

from mmdiffkd.models.algorithms.teacher_builder import build_teacher

DISTILLED = [
    path
    for path in sorted(tiny.DEMO.glob('camvid_*.py'))
    if tiny.read(path).model.type == 'mmdiffkd.FrozenTeacherDistill'
]
RANDOM_TEACHER = {'model.init_cfg': None}


def load(path):
    cfg = tiny.load(path)
    cfg.model.teacher.cfg_options = RANDOM_TEACHER
    return cfg


@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_method_takes_a_training_step(path):
    cfg = load(path)
    model = tiny.build(cfg).train()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4))
    log = model.train_step(tiny.batch(classes=11), optimizer)
    for loss in model.distiller.distill_losses:
        assert torch.isfinite(log[f'distill.{loss}'])


def test_methods_share_student_data_and_budget():
    """Nothing but the distiller may differ."""
    names = {path.stem for path in DISTILLED}
    methods = (
        'kd',
        'dist',
        'cwd',
        'mse',
        'diffkd',
        'diffkd_features',
        'diffkd_dist',
    )
    assert {f'camvid_{m}' for m in methods} <= names
    configs = [load(path) for path in DISTILLED]
    alone = tiny.load(tiny.DEMO / 'camvid_student.py')
    for cfg in configs:
        assert cfg.model.architecture == alone.model
        for key in ('distiller', 'custom_imports'):
            cfg.pop(key, None)
        cfg.model.pop('distiller')
        assert cfg.to_dict() == configs[0].to_dict()
    for key in (
        'train_dataloader',
        'test_dataloader',
        'train_cfg',
        'param_scheduler',
    ):
        assert configs[0][key] == alone[key]
    assert configs[0].optim_wrapper.optimizer == alone.optim_wrapper.optimizer


def test_teacher_sees_what_its_own_preprocessor_would_give():
    """Another mean and deviation than the student's, and void padding."""
    model = tiny.build(load(tiny.DEMO / 'camvid_kd.py')).train()
    seen = []
    model.teacher.backbone.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    batch = tiny.batch(classes=11)
    tiny.losses(model, batch)
    own = model.teacher.data_preprocessor
    inputs = torch.stack(batch['inputs']).float().flip(1)  # to RGB
    expected = inputs - torch.tensor([105.658, 103.330, 99.626]).view(3, 1, 1)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-3)
    assert own.mean.flatten().tolist() == pytest.approx(
        [105.658, 103.330, 99.626]
    )


def options(root):
    return [
        'model.architecture.backbone.init_cfg=None',
        'model.teacher.cfg_options.model.init_cfg=None',
        'model.teacher_ckpt=None',
        'model.allow_random_teacher=True',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.dataset.indices=2',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=2',
    ] + [
        f'{phase}_dataloader.dataset.data_root={root}/'
        for phase in ('train', 'val', 'test')
    ]


def run(command, **env):
    result = subprocess.run(
        command,
        cwd=tiny.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
        env=dict(
            os.environ, CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable, **env
        ),
    )
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout


@pytest.mark.slow
def test_two_processes_without_a_gpu_train_with_local_norms(
    tiny_camvid, tmp_path
):
    """The connector asks for SyncBN, which CPUs do not have."""
    output = run(
        [
            'bash',
            'tools/dist_train.sh',
            'configs/demo/camvid_diffkd.py',
            '2',
            '--work-dir',
            str(tmp_path / 'work'),
            '--cfg-options',
            *options(tiny_camvid),
        ]
    )
    assert 'norms of type SyncBN in the config become BN' in output
    assert 'distill.diff_logits.loss_diff' in output
    checkpoint = torch.load(
        tmp_path / 'work/iter_2.pth', map_location='cpu', weights_only=False
    )
    prefixes = {key.split('.')[0] for key in checkpoint['state_dict']}
    assert prefixes == {'architecture', 'distiller'}


@pytest.mark.slow
def test_real_streets_are_distilled_by_iterations(shared_data, tmp_path):
    output = run(
        [
            sys.executable,
            'tools/train.py',
            'configs/demo/camvid_diffkd.py',
            '--work-dir',
            str(tmp_path),
            '--cfg-options',
            *options(shared_data / 'camvid'),
        ]
    )
    assert 'Iter(train) [2/2]' in output
    assert 'mIoU' in output
    assert 'loss_diff = 1.0 means' in output
    assert list(tmp_path.glob('iter_2.pth'))


@pytest.mark.slow
def test_teacher_knows_the_test_images(shared_data, tmp_path):
    """Of all 233 images, it has 65.4 mIoU; of the first 12, 62."""
    cfg = tiny.load(tiny.DEMO / 'camvid_cgnet_teacher.py')
    weights = shared_data / 'weights/cgnet_camvid_mmseg.pth'
    cfg.model.init_cfg = None
    cfg.test_dataloader.dataset.data_root = f'{shared_data}/camvid/'
    cfg.test_dataloader.dataset.indices = 12
    cfg.test_dataloader.num_workers = 0
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    load_checkpoint(runner.model, str(weights), map_location='cpu')
    runner._has_loaded = True
    metrics = runner.test()
    assert metrics['aAcc'] > 85
    # The very file teaches without a complaint.
    build_teacher(
        dict(
            cfg_path=str(tiny.DEMO / 'camvid_cgnet_teacher.py'),
            cfg_options={'model.init_cfg.checkpoint': str(weights)},
        )
    )
