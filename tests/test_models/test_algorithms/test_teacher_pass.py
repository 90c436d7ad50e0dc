# Copyright (c) mmdiffkd contributors.
"""Ways to run the teacher: which keep the bits, and which are near."""

import copy
import pickle

import pytest
import torch
from helpers import toys, two_stage_toys
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.utils import UserError

SIZES = [(64, 96), (64, 96), (96, 64), (64, 64)]


def mimicry(source, **records):
    """The config of plain mimicking of one module's output."""
    record = dict(out=dict(type='ModuleOutputs', source=source))
    return dict(
        _scope_='mmrazor',
        type='mmdiffkd.DiffKDDistiller',
        student_recorders=record,
        teacher_recorders=copy.deepcopy(record),
        distill_losses=dict(
            loss_kd=dict(type='L2Loss', normalize=False, div_element=True)
        ),
        loss_forward_mappings=dict(
            loss_kd=dict(
                s_feature=dict(recorder='out', from_student=True, **records),
                t_feature=dict(recorder='out', from_student=False, **records),
            )
        ),
    )


def build(cfg, **changes):
    torch.manual_seed(0)
    return toys.build(dict(cfg, **changes))


def trace(model, sizes=SIZES):
    """Losses of batches of several sizes."""
    torch.manual_seed(1)
    return [
        {
            name: torch.stack(list(value)) if type(value) is list else value
            for name, value in toys.losses(
                model, toys.batch(size, seed=seed)
            ).items()
        }
        for seed, size in enumerate(sizes)
    ]


def teacher_flops(model, size=(64, 96)):
    data = model.data_preprocessor(toys.batch(size), False)
    with FlopCounterMode(display=False) as counter:
        model._run_teacher(data['inputs'], data['data_samples'])
    return counter.get_total_flops()


ONE_STAGE = toys.algorithm(
    distiller=mimicry('bbox_head.retina_reg', record_idx=1)
)
TWO_STAGE = two_stage_toys.algorithm()
PYRAMID = toys.algorithm(
    teacher=toys.detector(), distiller=mimicry('neck', data_idx=2)
)


@pytest.mark.parametrize(
    'cfg, share',
    [(ONE_STAGE, 0.9), (PYRAMID, 0.95), (TWO_STAGE, 1.0)],
    ids=['head', 'neck', 'student_rois'],
)
def test_left_out_parts_change_no_bit(cfg, share):
    whole, lean = build(cfg, skip_teacher_parts=False), build(cfg)
    for one, other in zip(trace(whole), trace(lean)):
        assert one.keys() == other.keys()
        for name in one:
            assert torch.equal(one[name], other[name]), name
    assert teacher_flops(lean) <= share * teacher_flops(whole)


def test_a_copy_leaves_out_the_same():
    model = build(ONE_STAGE)
    other = copy.deepcopy(model)
    expected, found = trace(model)[-1], trace(other)[-1]
    for name in expected:
        assert torch.equal(expected[name], found[name])
    assert teacher_flops(model) == teacher_flops(other)


@pytest.mark.parametrize('followed', [False, True])
def test_a_pickled_model_leaves_out_the_same(followed):
    model = build(ONE_STAGE)
    if followed:
        trace(model)
    other = pickle.loads(pickle.dumps(model))
    for one, same in zip(trace(model), trace(other)):
        for name in one:
            assert torch.equal(one[name], same[name]), name
    assert teacher_flops(model) == teacher_flops(other)


def seen_by(module):
    """What a module of the teacher is given and gives, once it is run."""
    seen = []
    module.register_forward_hook(
        lambda _, args, out: seen.extend([*args, out])
    )
    return seen


def losses_are_near(model, plain, rtol):
    for found, expected in zip(trace(model), trace(plain)):
        for name, value in expected.items():
            if 'student' in name:
                assert torch.equal(found[name], value)
            else:
                torch.testing.assert_close(
                    found[name], value, rtol=rtol, atol=rtol
                )


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize(
    'cfg', [ONE_STAGE, TWO_STAGE], ids=['head', 'student_rois']
)
def test_half_precision_is_the_teachers_alone(cfg, dtype):
    model, plain = build(cfg, teacher_dtype=dtype), build(cfg)
    seen = seen_by(model.teacher.backbone.conv1)
    losses_are_near(model, plain, 0.05)
    assert {t.dtype for t in seen[1::2]} == {getattr(torch, dtype)}
    for parameter in model.teacher.parameters():
        assert parameter.dtype == torch.float32


def test_records_have_the_dtype_and_layout_of_the_batch():
    model = build(
        PYRAMID, teacher_dtype='bfloat16', teacher_channels_last=True
    )
    seen = seen_by(model.teacher.neck.fpn_convs[2])
    data = model.data_preprocessor(toys.batch(), False)
    model._run_teacher(data['inputs'], data['data_samples'])
    record = model.distiller.get_record('out', False, data_idx=2)
    assert record.dtype == torch.float32 and record.is_contiguous()
    assert seen[-1].dtype == torch.bfloat16
    assert torch.equal(seen[-1].float(), record)


@pytest.mark.parametrize(
    'cfg', [ONE_STAGE, TWO_STAGE], ids=['head', 'student_rois']
)
def test_channels_last_is_the_teachers_alone(cfg):
    model, plain = build(cfg, teacher_channels_last=True), build(cfg)
    seen = seen_by(model.teacher.backbone.conv1)
    losses_are_near(model, plain, 1e-4)
    for tensor in seen:
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    weight = model.student.neck.fpn_convs[0].conv.weight
    assert weight.is_contiguous()


@pytest.mark.slow
@pytest.mark.parametrize('cfg', [ONE_STAGE, PYRAMID], ids=['head', 'neck'])
def test_compiled_parts_are_the_same_function(cfg):
    graphs = []

    def compiler(graph, inputs):
        graphs.append(graph)
        return graph.forward

    options = dict(backend=compiler, dynamic=True)
    model, plain = build(cfg, compile_teacher=options), build(cfg)
    losses_are_near(model, plain, 1e-6)
    assert graphs


@pytest.mark.parametrize(
    'option, value, message',
    [
        ('teacher_dtype', 'bf16', "'bfloat16' or 'float16'.*got 'bf16'"),
        ('teacher_dtype', torch.float16, "'bfloat16' or 'float16'"),
        ('teacher_channels_last', 'yes', "True or False, got 'yes'"),
        ('skip_teacher_parts', 1, 'True or False, got 1'),
        ('compile_teacher', 'inductor', 'dict with arguments'),
    ],
)
def test_an_option_with_another_value_is_refused(option, value, message):
    with pytest.raises(UserError, match=f'model.{option} must be.*{message}'):
        build(PYRAMID, **{option: value})


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(backends=True), "backends.*does not take this: .*'backends'"),
        (dict(mode='fast'), 'does not take this: .*fast.*reduce-overhead'),
        (dict(backend='induktor'), "does not take this: .*'induktor'"),
        (dict(options=dict(a=1)), r'does not take this: .{1,210}\.\.\.$'),
    ],
)
def test_arguments_that_pytorch_does_not_take(arguments, message):
    with pytest.raises(UserError, match=f'model.compile_teacher=.*{message}'):
        build(PYRAMID, compile_teacher=arguments)


@pytest.mark.parametrize('cfg', [ONE_STAGE, TWO_STAGE], ids=['one', 'two'])
def test_without_distillation_a_step_costs_what_the_students_does(cfg):
    model = build(cfg)
    trace(model)
    data = model.data_preprocessor(toys.batch(), True)

    def flops(algorithm):
        with FlopCounterMode(display=False) as counter:
            losses = algorithm(**data, mode='loss')
            algorithm.parse_losses(losses)[0].backward()
        return counter.get_total_flops()

    with_teacher = flops(model)
    model.distillation_stopped = True
    called = seen_by(model.teacher.backbone)
    assert flops(model) == flops(model.student) < with_teacher
    assert not called
