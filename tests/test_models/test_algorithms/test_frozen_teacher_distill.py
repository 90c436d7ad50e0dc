# Copyright (c) mmdiffkd contributors.
import copy
import warnings

import pytest
import torch
from helpers import toys
from mmdet.models import RetinaNet
from mmdet.registry import MODELS
from mmengine.runner import load_checkpoint, save_checkpoint
from torch import nn

from mmdiffkd.utils import UserError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return toys.build(toys.algorithm())


def test_losses_and_statistics_are_logged_by_name(model):
    total, log = model.parse_losses(toys.losses(model))
    for p in ('p3', 'p4', 'p5'):
        assert f'distill.loss_kd_{p}' in log
        assert f'distill.diff_{p}.loss_diff' in log
        assert 0 < log[f'distill.diff_{p}.gamma_mean'] < 1
        assert log[f'distill.diff_{p}.feature_scale'] > 0
    in_total = [v for k, v in log.items() if 'loss' in k and k != 'loss']
    torch.testing.assert_close(total.detach(), sum(in_total).detach())


def test_the_teacher_is_hidden_but_moves_along(model):
    assert not any(
        name.startswith('teacher') or '_teacher' in name
        for name, _ in model.named_modules()
    )
    assert not any('teacher' in key for key in model.state_dict())
    assert {id(p) for p in model.parameters()}.isdisjoint(
        id(p) for p in model.teacher.parameters()
    )
    model.double()
    assert next(model.teacher.parameters()).dtype == torch.float64


def test_the_teacher_is_wholly_in_eval_mode(model):
    assert model.train() is model
    assert model.eval() is model
    model.train()
    assert not any(m.training for m in model.teacher.modules())
    assert model.student.training


def test_a_step_trains_student_and_connectors_but_not_the_teacher(model):
    before = copy.deepcopy(model.teacher.state_dict())
    loss, _ = model.parse_losses(toys.losses(model))
    loss.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert not without
    assert all(p.grad is None for p in model.teacher.parameters())
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[key])


def test_hooks_of_the_students_library_find_its_parts(model):
    model.bbox_head.use_l1 = True  # as YOLOXModeSwitchHook does
    assert model.student.bbox_head.use_l1
    assert model.neck is model.student.neck
    model.student.set_epoch = lambda epoch: epoch  # as SetEpochInfoHook does
    assert model.set_epoch(3) == 3
    assert copy.deepcopy(model).neck is not model.neck
    for absent in ('roi_head', 'train_cfg', '_params_init_info'):
        with pytest.raises(AttributeError, match=absent):
            getattr(model, absent)
    assert not any(key.startswith('neck') for key in model.state_dict())


def test_the_teacher_stops_at_the_last_recorded_module(model):
    called = []
    for name in ('backbone', 'neck', 'bbox_head'):
        model.teacher.get_submodule(name).register_forward_pre_hook(
            lambda *args, name=name: called.append(name)
        )
    data = toys.batch()
    for sample in data['data_samples']:
        del sample.gt_instances  # the teacher needs no labels
    model.train()
    inputs = model.data_preprocessor(data, False)
    model._run_teacher(
        batch_inputs=inputs['inputs'], data_samples=inputs['data_samples']
    )
    assert called == ['backbone', 'neck']


def test_a_shared_head_runs_once_for_each_level_that_is_used():
    cfg = toys.algorithm()
    source = 'bbox_head.retina_cls'
    record = dict(cls=dict(type='ModuleOutputs', source=source))
    cfg['distiller'] = dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=record,
        teacher_recorders=record,
        distill_losses=dict(loss_cls=dict(type='ChannelWiseDivergence')),
        loss_forward_mappings=dict(
            loss_cls=dict(
                preds_S=dict(recorder='cls', from_student=True, record_idx=1),
                preds_T=dict(recorder='cls', from_student=False, record_idx=1),
            )
        ),
    )
    model = toys.build(cfg)
    calls = []
    model.teacher.bbox_head.retina_cls.register_forward_pre_hook(
        lambda *args: calls.append(1)
    )
    assert torch.isfinite(toys.losses(model)['distill.loss_cls'])
    calls.clear()  # the first time it is tried what is needed
    toys.losses(model)
    assert len(calls) == 2, 'record_idx=1 needs two of the three levels'


def test_after_the_stop_neither_teacher_nor_connectors_run(model):
    model.distillation_stopped = True
    for module in (model.teacher, *model.distiller.connectors.values()):
        module.register_forward_pre_hook(
            lambda *args: pytest.fail('ran after the stop')
        )
    result = toys.losses(model)
    assert not any(k.startswith('distill') for k in result)
    assert 'student.loss_cls' in result


def test_nothing_is_recorded_after_the_step(model):
    toys.losses(model)
    for manager in (
        model.distiller.student_recorders,
        model.distiller.teacher_recorders,
    ):
        assert all(not r.data_buffer for r in manager.recorders.values())
    assert not model.distiller._paired


def test_copies_share_the_teacher_and_distil(model):
    toys.losses(model)
    twin = copy.deepcopy(model)
    assert twin.teacher is model.teacher
    data = toys.batch()
    a, b = toys.losses(model, data), toys.losses(twin, copy.deepcopy(data))
    for key in a:
        if key.startswith('distill'):
            torch.testing.assert_close(a[key], b[key])


def test_no_in_place_activation_is_left(model):
    for net in (model.student, model.teacher):
        assert not any(getattr(m, 'inplace', False) for m in net.modules())


def test_building_leaves_the_global_random_numbers_to_the_student():
    torch.manual_seed(0)
    alone = toys.build(toys.detector())
    after_alone = torch.rand(3)
    torch.manual_seed(0)
    model = toys.build(toys.algorithm())
    assert torch.equal(after_alone, torch.rand(3))
    torch.manual_seed(1)
    alone.init_weights()
    torch.manual_seed(1)
    model.init_weights()
    for key, value in alone.state_dict().items():
        assert torch.equal(value, model.student.state_dict()[key]), key


def test_a_teacher_without_weights_cannot_be_trained_with():
    model = toys.build(toys.algorithm(allow_random_teacher=False))
    with pytest.raises(UserError, match='teacher has random weights.*ckpt'):
        model.init_weights()


def test_teacher_weights_are_loaded(tmp_path):
    teacher = toys.build(toys.detector(width=12, channels=24))
    path = str(tmp_path / 'teacher.pth')
    save_checkpoint(dict(state_dict=teacher.state_dict()), path)
    model = toys.build(
        toys.algorithm(allow_random_teacher=False, teacher_ckpt=path)
    )
    model.init_weights()
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, model.teacher.state_dict()[key])


def test_a_distilled_student_can_teach(tmp_path, model):
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(dict(state_dict=model.state_dict()), path)
    cfg = toys.algorithm(
        teacher=toys.detector(),
        teacher_ckpt=path,
        allow_random_teacher=False,
        distiller=toys.distiller(teacher_channels=16),
    )
    pupil = toys.build(cfg)
    for key, value in model.student.state_dict().items():
        assert torch.equal(value, pupil.teacher.state_dict()[key])


@pytest.mark.parametrize(
    'damage, message',
    [
        ('missing', r'2 are missing and 0 differ.*\n  missing: neck'),
        (
            'shape',
            r'0 are missing and 1 differ.*retina_cls.weight: '
            r'\(5, 24, 3, 3\) in the file, \(3, 24, 3, 3\) in the model'
            '.*cfg_options',
        ),
        ('absent', 'does not exist; set model.teacher_ckpt'),
        ('truncated', 'teacher cannot be read: .* is truncated'),
        ('empty', 'holds no weights'),
    ],
)
def test_a_wrong_teacher_checkpoint_is_an_error(tmp_path, damage, message):
    state = toys.build(toys.detector(width=12, channels=24)).state_dict()
    path = tmp_path / 'teacher.pth'
    if damage == 'missing':
        for key in list(state):
            if key.startswith('neck.fpn_convs.0'):
                state.pop(key)
    elif damage == 'shape':
        key = 'bbox_head.retina_cls.weight'
        state[key] = torch.zeros(5, 24, 3, 3)
    elif damage == 'empty':
        state = {}
    if damage != 'absent':
        save_checkpoint(dict(state_dict=state), str(path))
    if damage == 'truncated':
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=f'(?s){message}'):
        toys.build(toys.algorithm(teacher_ckpt=str(path)))


def test_a_plain_student_checkpoint_starts_the_student(tmp_path, model):
    donor = toys.build(toys.detector())
    path = str(tmp_path / 'student.pth')
    save_checkpoint(dict(state_dict=donor.state_dict()), path)
    load_checkpoint(model, path)
    for key, value in donor.state_dict().items():
        assert torch.equal(value, model.student.state_dict()[key])


def test_an_mmrazor_checkpoint_with_a_teacher_in_it_loads(model):
    state = model.state_dict()
    state['teacher.neck.weight'] = torch.zeros(1)
    result = copy.deepcopy(model).load_state_dict(state)
    assert not result.missing_keys and not result.unexpected_keys


def test_a_checkpoint_that_fits_nothing_is_an_error(model):
    with pytest.raises(UserError, match='fits no weight of the student.*foo'):
        model.load_state_dict({'foo.bar': torch.zeros(1)}, strict=False)


def test_non_finite_losses_name_the_component(model):
    with torch.no_grad():
        model.distiller.connectors.diff_p4.diffusion.denoiser.layers[
            -1
        ].bias.fill_(float('nan'))
    with pytest.raises(
        FloatingPointError, match=r'at iteration .*distill\.diff_p4\.loss_diff'
    ):
        model.parse_losses(toys.losses(model))


def test_features_without_gradient_are_refused():
    cfg = toys.algorithm()
    cfg['architecture']['backbone'].update(frozen_stages=4)
    record = dict(fpn=dict(type='ModuleOutputs', source='backbone'))
    cfg['distiller'] = toys.distiller(student_channels=8, levels=1)
    cfg['distiller'].update(student_recorders=record)
    model = toys.build(cfg)
    with pytest.raises(UserError, match="student recorder 'fpn'.*gradient"):
        toys.losses(model)


@pytest.mark.parametrize(
    'case, message',
    [
        (
            dict(cfg_path='mmdet::retinanet/no_such.py'),
            'no_such.*cannot be read',
        ),
        (dict(cfg_path='/no/such/teacher.py'), 'no/such.*cannot be read'),
        (
            dict(
                cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                cfg_options={'bbox_head.num_classes': 3},
            ),
            r"did you mean 'model\.bbox_head'",
        ),
        (
            dict(
                cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                cfg_options={'modle.neck': 3},
            ),
            r"did you mean 'model'",
        ),
        (
            dict(
                cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                bbox_head=dict(num_classes=3),
            ),
            'write cfg_options',
        ),
    ],
)
def test_a_wrong_teacher_config_is_an_error(case, message):
    with pytest.raises(UserError, match=message):
        toys.build(toys.algorithm(teacher=case))


def test_teacher_leaves_are_overridable():
    model = toys.build(
        toys.algorithm(
            teacher=dict(
                cfg_path='mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                cfg_options={'model.bbox_head.num_classes': 3},
            ),
            distiller=toys.distiller(teacher_channels=256),
        )
    )
    assert model.teacher.bbox_head.num_classes == 3
    assert model.teacher.backbone.depth == 18


def test_typeless_preprocessor_goes_to_the_student():
    student = toys.detector()
    mean = student.pop('data_preprocessor')['mean']
    stock = dict(
        toys.algorithm(),
        type='mmrazor.SingleTeacherDistill',
        architecture=student,
        data_preprocessor=dict(mean=mean),
    )
    stock.pop('allow_random_teacher')
    with pytest.raises(KeyError, match='must contain the key "type"'):
        toys.build(stock)
    student['data_preprocessor'] = toys.detector()['data_preprocessor']
    model = toys.build(
        toys.algorithm(architecture=student, data_preprocessor=dict(mean=mean))
    )
    assert model.data_preprocessor is model.student.data_preprocessor


def test_a_trainable_teacher_is_mmrazors():
    model = toys.build(toys.algorithm(teacher_trainable=True))
    assert any(k.startswith('teacher.') for k in model.state_dict())
    assert 'teacher.loss_cls' in toys.losses(model)


def test_training_needs_no_warning(model):
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        toys.losses(model)
    assert isinstance(model, nn.Module)


def test_deliveries_replay_the_teachers_values():
    cfg = toys.algorithm()
    cfg['distiller']['distill_deliveries'] = dict(
        anchors=dict(
            type='MethodOutputs',
            max_keep_data=1,
            method_path='mmdet.models.dense_heads.RetinaHead.get_anchors',
        )
    )
    model = toys.build(cfg)
    assert 'student.loss_cls' in toys.losses(model)
    model.distillation_stopped = True
    assert 'student.loss_cls' in toys.losses(model), 'nothing is awaited now'


def test_preprocessor_of_the_student_wins_over_that_of_the_config():
    """The Runner hands over what stands at the top of a config."""
    student = toys.detector()
    student['data_preprocessor'] = dict(
        student['data_preprocessor'], pad_size_divisor=8
    )
    top = dict(student['data_preprocessor'], pad_size_divisor=64)
    model = toys.build(
        toys.algorithm(architecture=student, data_preprocessor=top)
    )
    assert model.data_preprocessor.pad_size_divisor == 8


@MODELS.register_module()
class SilentRetinaNet(RetinaNet):
    """As MMDetection's LAD, whose ``train`` returns nothing."""

    def train(self, mode=True):
        super().train(mode)


def test_models_whose_train_returns_nothing():
    cfg = toys.algorithm()
    for side in ('architecture', 'teacher'):
        cfg[side]['type'] = 'mmdet.SilentRetinaNet'
    for connector in cfg['distiller']['connectors'].values():
        del connector['student_channels'], connector['teacher_channels']
    model = toys.build(cfg)
    assert not model.teacher.training
    assert toys.losses(model)['distill.loss_kd_p3'].isfinite()
