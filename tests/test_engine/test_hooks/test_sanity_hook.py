# Copyright (c) mmdiffkd contributors.
import pytest
import torch
from helpers import task_toys, toys
from helpers.small_runs import run
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmdiffkd.engine.hooks import SanityHook
from mmdiffkd.utils import UserError

HOOK = dict(type='mmdiffkd.SanityHook')


def log_of(folder):
    return '\n'.join(p.read_text() for p in folder.glob('*/*.log'))


def check(folder, iters=1, model=None, hook=HOOK, hooks=(), **kwargs):
    run(
        folder,
        iters=iters,
        model=model,
        hooks=[*hooks, hook],
        log_level='INFO',
        **kwargs,
    )
    return log_of(folder)


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_report_of_a_sound_run(tmp_path, task):
    text = check(tmp_path, task=task)
    report = text[text.index('distillation at iteration 1') :]
    for words in (
        'teacher',
        'optimizer',
        'features   student',
        'losses',
        'gradient   from distillation alone',
        'noise',
        'hint       task loss on this batch: teacher',
    ):
        assert words in report, words
    lines = report.split('\n')
    end = next(
        i for i, line in enumerate(lines[1:], 1) if not line.startswith('  ')
    )
    assert end <= 24, 'more than a screen'
    assert 'RANDOM weights' in text


def test_shapes_and_counts_are_those_of_the_model(tmp_path):
    text = check(tmp_path)
    assert 'student fpn: 2x16x8x8, 2x16x4x4, 2x16x2x2' in text
    model = task_toys.build('det', task_toys.algorithm('det'))
    count = len(list(model.student.parameters()))
    assert f'{count} tensors of the student' in text


@pytest.mark.parametrize('with_cp', [False, True])
def test_training_is_the_same_with_and_without(tmp_path, with_cp):
    model = task_toys.algorithm('det', with_cp=with_cp)
    ours, plain = (
        run(tmp_path / name, model=model, hooks=hooks).model.state_dict()
        for name, hooks in (('with', [HOOK]), ('without', []))
    )
    for key, value in plain.items():
        assert torch.equal(value, ours[key]), key


def test_losses_without_the_student_are_refused(tmp_path):
    cfg = task_toys.algorithm('cls')
    # Both sides are the teacher's: a slip of the pen.
    for part in cfg['distiller']['loss_forward_mappings'].values():
        part['s_feature'] = dict(recorder='out', from_student=False)
    with pytest.raises(UserError, match='no gradient of the distillation'):
        check(tmp_path, task='cls', model=cfg)


def test_connector_that_learns_nothing_is_refused(tmp_path):
    cfg = task_toys.algorithm('det')
    cfg['distiller']['connectors']['diff_p4']['diffusion_loss_weight'] = 0.0
    cfg['distiller']['distill_losses']['loss_kd_p4']['loss_weight'] = 0.0
    with pytest.raises(UserError, match="connector 'diff_p4' gets no grad"):
        check(tmp_path, model=cfg)


def test_denoiser_that_never_learns_is_refused(tmp_path):
    """The distance alone trains all of the connector but the denoiser."""
    cfg = task_toys.algorithm('det', recipe='tuned')
    cfg['distiller']['connectors']['diff_p4']['diffusion_loss_weight'] = 0.0
    with pytest.raises(
        UserError,
        match="denoiser of connector 'diff_p4'.*diffusion_loss_weight",
    ):
        check(tmp_path, model=cfg)


def test_a_warm_up_reaches_the_student_from_the_start(tmp_path):
    cfg = task_toys.algorithm('det', recipe='tuned')
    for connector in cfg['distiller']['connectors'].values():
        connector['kd_warmup_iters'] = 1000
    check(tmp_path, model=cfg)


def test_parameters_outside_of_the_optimizer_are_refused(tmp_path):
    @HOOKS.register_module(force=True)
    class DropLastParameter(Hook):
        def before_train(self, runner):
            groups = runner.optim_wrapper.optimizer.param_groups
            groups[0]['params'].pop()

    with pytest.raises(
        UserError, match='1 parameters of the distiller.*not in the optimizer'
    ):
        check(tmp_path, hooks=[dict(type='DropLastParameter')])


def zero_loss(weights):
    cfg = task_toys.algorithm('det')
    for name, weight in weights.items():
        cfg['distiller']['distill_losses'][name]['loss_weight'] = weight
    return cfg


def test_a_loss_that_stays_zero_is_told(tmp_path):
    text = check(
        tmp_path,
        iters=3,
        model=zero_loss(dict(loss_kd_p4=0.0)),
        hook=dict(HOOK, zero_patience=3),
    )
    assert 'distill.loss_kd_p4: exactly zero for 3 iterations' in text


def test_nothing_but_zeros_is_refused():
    hook = SanityHook(zero_patience=2)
    outputs = {'distill.loss_kd': torch.tensor(0.0)}
    hook._watch_zeros(None, outputs)
    with pytest.raises(UserError, match='distill.loss_kd: exactly zero'):
        hook._watch_zeros(None, outputs)


def test_a_teacher_worse_than_the_student_is_told(tmp_path):
    @HOOKS.register_module(force=True)
    class SpoilTeacher(Hook):
        def before_train(self, runner):
            head = runner.model.teacher.head.fc
            with torch.no_grad():
                head.weight.mul_(1e4)

    text = check(tmp_path, task='cls', hooks=[dict(type='SpoilTeacher')])
    assert 'the teacher is worse than the student' in text


def test_a_teacher_of_other_classes_gives_no_hint(tmp_path):
    cfg = toys.algorithm()
    cfg['teacher']['bbox_head']['num_classes'] = 2
    text = check(tmp_path, model=cfg)
    assert 'the teacher has 2 classes, the student 3' in text


def test_an_unread_recorder_is_told(tmp_path):
    cfg = task_toys.algorithm('det')
    cfg['distiller']['student_recorders']['spare'] = dict(
        type='ModuleOutputs', source='backbone.maxpool'
    )
    cfg['distiller']['teacher_recorders']['spare'] = dict(
        type='ModuleOutputs', source='bbox_head'
    )
    text = check(tmp_path, model=cfg)
    assert "teacher recorder 'spare' recorded nothing" in text


def test_a_stopped_distillation_is_not_judged(tmp_path):
    text = check(
        tmp_path,
        iters=2,
        hooks=[dict(type='mmdiffkd.StopDistillHook', stop_iter=0)],
    )
    assert 'distillation at iteration' not in text


def test_mmrazors_own_algorithm(tmp_path):
    cfg = task_toys.algorithm('det')
    cfg.pop('allow_random_teacher')
    cfg.update(type='mmrazor.SingleTeacherDistill')
    text = check(tmp_path, model=cfg)
    assert 'gradient   from distillation alone' in text


def test_plain_model_is_left_alone(tmp_path):
    assert 'the model does not distil' in check(
        tmp_path, model=task_toys.student('det')
    )


def test_options_of_the_teacher_that_fit_any_checkpoint_are_named(tmp_path):
    algorithm = task_toys.algorithm('cls')
    teacher = Config(
        dict(model=algorithm['teacher'], default_scope='mmpretrain')
    )
    teacher.dump(tmp_path / 'teacher.py')
    algorithm['teacher'] = dict(
        cfg_path=str(tmp_path / 'teacher.py'),
        cfg_options={
            'model.backbone.norm_cfg.eps': 0.5,
            'model.head.in_channels': 96,
        },
    )
    text = check(tmp_path / 'w', task='cls', model=algorithm)
    screen = text[text.index('distillation at iteration 1') :]
    assert (
        'changed, with the same weights: model.backbone.norm_cfg.eps=0.5'
        in screen
    )
    assert 'in_channels' not in screen


class SpoilTeacher(Hook):
    """Statistics of batch norms that fit no data."""

    def before_train(self, runner):
        for module in runner.model.teacher.backbone.layer4.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(1e-9)


@pytest.mark.parametrize('task', ['det', 'seg'])
def test_a_teacher_of_unfit_statistics_is_told(tmp_path, task):
    HOOKS.register_module(module=SpoilTeacher, force=True)
    cfg = task_toys.algorithm(task, recipe='released')
    text = check(
        tmp_path, task=task, model=cfg, hooks=[dict(type='SpoilTeacher')]
    )
    assert 'distillation is out of proportion to the task' in text
    screen = text[text.index('distillation at iteration 1') :]
    assert 'CHECK' in screen and 'times the task loss' in screen
    for cause in ('statistics of the teacher', 'normalisation', 'loss_weight'):
        assert cause in screen


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_a_weight_that_is_too_large_is_told(tmp_path, task):
    cfg = task_toys.algorithm(task)
    for loss in cfg['distiller']['distill_losses'].values():
        loss['loss_weight'] = 1e5
    text = check(tmp_path, task=task, model=cfg)
    assert 'is out of proportion to the task' in text
    assert "its gradient into the student's" in text


@pytest.mark.parametrize('task', task_toys.TASKS)
def test_a_sound_run_is_in_proportion(tmp_path, task):
    text = check(tmp_path, task=task)
    assert 'out of proportion' not in text
    assert "largest next to the task's: distill.loss_kd" in text


def test_a_student_that_is_recomputed_is_looked_at_all_the_same(tmp_path):
    """PyTorch asks for no single gradient through a checkpoint."""
    cfg = task_toys.algorithm('cls')
    cfg['architecture']['backbone']['with_cp'] = True
    text = check(tmp_path / 'a', task='cls', model=cfg)
    assert 'distillation at iteration 1' in text
    # A record in front of what is recomputed.
    record = dict(type='ModuleOutputs', source='backbone.layer2.1')
    cfg['distiller'].update(
        student_recorders=dict(out=record),
        teacher_recorders=dict(out=dict(record)),
    )
    connector = cfg['distiller']['connectors']['diff_out']
    connector.pop('denoiser')
    connector.update(student_channels=16, teacher_channels=24)
    text = check(tmp_path / 'b', task='cls', model=cfg)
    assert 'distillation at iteration 1' in text


def test_a_level_of_another_name_is_told(tmp_path):
    assert 'names of levels' not in check(tmp_path / 'a')
    cfg = task_toys.algorithm('det')
    distiller = cfg['distiller']
    for kind in ('connectors', 'connector_forward_mappings'):
        part = distiller[kind]
        part['diff_p5'] = part.pop('diff_p4')
    for mapping in distiller['loss_forward_mappings']['loss_kd_p4'].values():
        mapping['connector'] = 'diff_p5'
    text = check(tmp_path / 'b', model=cfg)
    assert 'diff_p5 sees P4' in text and 'loss_kd_p4 sees' not in text


def test_the_stock_preprocessor_is_no_count_of_classes(tmp_path):
    """MMPretrain's says 1000 unless it is told otherwise."""
    cfg = task_toys.algorithm('cls')
    cfg['architecture']['data_preprocessor']['num_classes'] = 1000
    text = check(tmp_path / 'a', task='cls', model=cfg)
    assert 'hint       task loss on this batch: teacher' in text
    cfg['architecture']['head']['num_classes'] = 2
    with pytest.raises(UserError, match='3 classes, and the student tells 2'):
        check(tmp_path / 'b', task='cls', model=cfg)
