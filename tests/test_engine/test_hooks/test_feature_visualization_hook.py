# Copyright (c) mmdiffkd contributors.
import logging
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import dskd_toys, task_toys
from helpers.small_runs import run
from mmengine.model import ImgDataPreprocessor
from torch import nn

from mmdiffkd.engine.hooks import (
    FeatureVisualizationHook,
    feature_visualization_hook,
)
from mmdiffkd.models import DiffKDConnector, DSKDConnector
from mmdiffkd.models.algorithms.teacher_input import normalisation
from mmdiffkd.utils import UserError
from mmdiffkd.visualization.feature_maps import (
    draw_feature_maps,
    spatial_attention,
    to_pixels,
)

COLUMNS = ['teacher', 'student', 'student, denoised']


def hook(**kwargs):
    return dict(type='mmdiffkd.FeatureVisualizationHook', **kwargs)


def pictures(folder):
    return sorted(p.name for p in folder.rglob('*.png'))


def log_of(folder):
    return '\n'.join(p.read_text() for p in folder.glob('*/*.log'))


MODELS = [
    ('det', task_toys.algorithm('det')),
    ('det', dskd_toys.algorithm('det')),
    ('seg', task_toys.algorithm('seg')),
    ('cls', dskd_toys.algorithm('cls')),
]


@pytest.mark.parametrize('task, model', MODELS)
def test_draws_every_interval(tmp_path, task, model):
    runner = run(
        tmp_path, task=task, model=model, iters=5, hooks=[hook(interval=2)]
    )
    assert pictures(tmp_path) == ['features_2.png', 'features_4.png']
    picture = cv2.imread(str(next(tmp_path.rglob('features_4.png'))))
    rows = len(runner.model.distiller.connectors)
    assert picture.shape[0] > 200 * rows
    assert picture.std() > 20


@pytest.mark.parametrize('task', ['det', 'seg'])
def test_training_is_the_same_with_and_without(tmp_path, task):
    results = []
    for name, hooks in (('with', [hook(interval=2)]), ('without', [])):
        runner = run(tmp_path / name, task=task, hooks=hooks)
        sources = [
            c.diffusion.noise_source.state()
            for c in runner.model.distiller.connectors.values()
        ]
        results.append(
            (
                runner.model.state_dict(),
                torch.get_rng_state(),
                np.random.get_state()[1],
                sources,
            )
        )
    assert len(pictures(tmp_path / 'with')) == 3
    ours, plain = results
    for key, value in plain[0].items():
        assert torch.equal(value, ours[0][key]), key
    assert torch.equal(ours[1], plain[1])
    assert (ours[2] == plain[2]).all()
    assert str(ours[3]) == str(plain[3])


def test_nothing_is_left_behind(tmp_path):
    runner = run(tmp_path, iters=2, hooks=[hook(interval=2)])
    (drawer,) = [
        h for h in runner.hooks if isinstance(h, FeatureVisualizationHook)
    ]
    assert not drawer._rows and not drawer._handles
    assert drawer._image is None
    model = runner.model
    for module in (
        model.data_preprocessor,
        *model.distiller.connectors.values(),
    ):
        assert not module._forward_hooks


def test_named_connectors_alone(tmp_path):
    run(tmp_path / 'all', iters=1, hooks=[hook(interval=1)])
    run(
        tmp_path / 'one',
        iters=1,
        hooks=[hook(interval=1, connectors=['diff_p4'])],
    )
    heights = [
        cv2.imread(str(next((tmp_path / name).rglob('*.png')))).shape[0]
        for name in ('all', 'one')
    ]
    assert heights[0] > 1.8 * heights[1]


def test_stopped_distillation_is_told_once(tmp_path):
    stop = dict(type='mmdiffkd.StopDistillHook', stop_iter=2)
    run(tmp_path, iters=4, hooks=[hook(interval=1), stop], log_level='INFO')
    assert pictures(tmp_path) == ['features_1.png', 'features_2.png']
    text = log_of(tmp_path)
    assert text.count('distillation has stopped; no features') == 1


def test_logits_are_left_out_with_a_word(tmp_path):
    run(
        tmp_path,
        task='cls',
        iters=3,
        hooks=[hook(interval=1)],
        log_level='INFO',
    )
    assert not pictures(tmp_path)
    assert (
        log_of(tmp_path).count(
            "connector 'diff_out' is not drawn: the teacher feature (2, 3)"
        )
        == 1
    )


def test_other_ranks_draw_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        feature_visualization_hook, 'is_main_process', lambda: False
    )
    run(tmp_path, iters=1, hooks=[hook(interval=1)])
    assert not pictures(tmp_path)


def test_mmrazors_own_algorithm(tmp_path):
    cfg = task_toys.algorithm('det')
    cfg.pop('allow_random_teacher')
    cfg.update(type='mmrazor.SingleTeacherDistill')
    run(tmp_path, model=cfg, iters=1, hooks=[hook(interval=1)])
    assert pictures(tmp_path) == ['features_1.png']


def test_a_model_without_connectors_is_refused(tmp_path):
    with pytest.raises(UserError, match='this RetinaNet has none; remove'):
        run(tmp_path, model=task_toys.student('det'), iters=1, hooks=[hook()])


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(interval=0), 'interval is a number of iterations, got 0'),
        (dict(connectors='diff_p3'), "a list of names, got 'diff_p3'"),
        (dict(connectors=['diff_p6']), "no connector 'diff_p6'.*'diff_p4'"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, iters=1, hooks=[hook(**options)])


def test_an_interval_beyond_the_end_is_told(tmp_path):
    run(tmp_path, iters=2, hooks=[hook()], log_level='INFO')
    assert 'draws nothing: the training ends at iteration 2' in log_of(
        tmp_path
    )


class OneStep:
    """An iteration of one connector, without a model around it."""

    def __init__(self, connector):
        self.hook = FeatureVisualizationHook(interval=1)
        self.pictures = []
        self.connector = connector
        model = SimpleNamespace(
            data_preprocessor=ImgDataPreprocessor(),
            distiller=SimpleNamespace(
                connectors=nn.ModuleDict(dict(only=connector)),
                connector_forward_mappings=dict(only={}),
            ),
        )
        self.runner = SimpleNamespace(
            model=model,
            iter=0,
            max_iters=1,
            logger=logging.getLogger('one step'),
            visualizer=SimpleNamespace(
                add_image=lambda *args: self.pictures.append(args)
            ),
        )

    def __call__(self, student, teacher):
        """Return the output and the maps that are drawn."""
        self.hook.before_train(self.runner)
        self.hook.before_train_iter(self.runner)
        images = [torch.zeros(3, 8, 8, dtype=torch.uint8)] * 2
        self.runner.model.data_preprocessor(dict(inputs=images))
        output = self.connector(s_feature=student, t_feature=teacher)
        rows = self.hook._rows
        self.hook.after_train_iter(self.runner)
        return output, rows.get('only')


def second_formulation(feature):
    """V = H * W * softmax(mean_c(X) / tau), tau = 0.5, in NumPy."""
    x = feature.detach().double().numpy()
    weights = np.exp(x.mean(axis=0) / 0.5)
    return weights / weights.mean()


def assert_maps(row, *features):
    assert list(row) == COLUMNS
    for drawn, feature in zip(row.values(), features):
        np.testing.assert_allclose(
            drawn, second_formulation(feature), rtol=1e-5
        )


def test_attention_is_that_of_the_paper():
    feature = torch.randn(7, 5, 6, generator=torch.manual_seed(0))
    attention = spatial_attention(feature)
    np.testing.assert_allclose(
        attention, second_formulation(feature), rtol=1e-5
    )
    assert attention.mean() == pytest.approx(1)
    assert spatial_attention(feature.half()).dtype == torch.float32


def test_diffkd_maps_are_of_the_first_image():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 8, 8), torch.randn(2, 6, 8, 8)
    step = OneStep(DiffKDConnector(4, 6, latent_channels=8))
    output, row = step(student, teacher)
    assert output.student.shape[1] == 8
    assert_maps(row, teacher[0], student[0], output.student[0])
    ((name, picture, iteration),) = step.pictures
    assert (name, iteration) == ('features', 1)
    assert picture.dtype == np.uint8


def test_dskd_denoises_into_the_teacher_side():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 8, 8), torch.randn(2, 6, 8, 8)
    output, row = OneStep(DSKDConnector(4, 6))(student, teacher)
    assert_maps(row, teacher[0], student[0], output.teacher[0])


def test_tokens_are_maps():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 13, 4), torch.randn(2, 13, 6)
    connector = DiffKDConnector(4, 6, token_shape=(3, 4), num_class_tokens=1)
    output, row = OneStep(connector)(student, teacher)
    assert row['teacher'].shape == (3, 4)
    assert_maps(
        row,
        *(tokens[0, 1:].T.reshape(-1, 3, 4) for tokens in (teacher, student)),
        output.student[0],
    )


def test_half_precision():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 8, 8), torch.randn(2, 6, 8, 8)
    half = student.bfloat16(), teacher.bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        output, row = OneStep(DiffKDConnector(4, 6))(*half)
    assert_maps(row, half[1][0], half[0][0], output.student[0])
    assert row['teacher'].dtype == np.float32


def test_features_of_regions_are_left_out():
    connector = DiffKDConnector(4, 6)
    step = OneStep(connector)
    _, row = step(torch.randn(5, 4, 7, 7), torch.randn(5, 6, 7, 7))
    assert row is None
    assert not step.pictures


@pytest.mark.parametrize('rgb', [True, False])
@pytest.mark.parametrize('task', task_toys.TASKS)
def test_image_is_the_one_that_was_loaded(task, rgb):
    cfg = task_toys.student(task)
    name = 'to_rgb' if task == 'cls' else 'bgr_to_rgb'
    cfg['data_preprocessor'][name] = rgb
    preprocessor = task_toys.build(task, cfg).data_preprocessor
    data = task_toys.batch(task)
    loaded = data['inputs'][0].flip(0).permute(1, 2, 0).numpy()
    inputs = preprocessor(data, True)['inputs']
    assert (
        to_pixels(inputs[0], *normalisation(preprocessor, '')) == loaded
    ).all()


def test_other_channels_are_grey():
    image = torch.full((5, 4, 6), 80.0)
    grey = to_pixels(image, torch.zeros(1), torch.ones(1), False)
    assert grey.shape == (4, 6)
    assert (grey == 80).all()
    assert draw_feature_maps(dict(row=dict(map=np.ones((2, 3)))), grey).any()


@pytest.mark.filterwarnings('error')
def test_maps_that_are_not_finite_are_drawn():
    maps = dict(teacher=np.full((4, 4), np.nan), student=np.eye(4))
    picture = draw_feature_maps(dict(diff_p3=maps))
    assert picture.ndim == 3 and picture.shape[2] == 3


def test_drawing_needs_nothing_of_a_single_task():
    code = (
        'import sys; sys.modules.update(dict.fromkeys(["pycocotools", '
        '"mmdet", "mmseg", "mmpretrain", "sklearn"])); '
        'import mmdiffkd.visualization.feature_maps'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
