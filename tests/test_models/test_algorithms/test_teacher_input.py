# Copyright (c) mmdiffkd contributors.
import pytest
import torch
from helpers import toys
from mmdet.models import DetDataPreprocessor

from mmdiffkd.models.algorithms.teacher_input import TeacherInput

RGB = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
CAFFE = dict(
    mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], bgr_to_rgb=False
)
RAW = dict(mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True)


@pytest.mark.parametrize('student', [RGB, CAFFE, RAW])
@pytest.mark.parametrize('teacher', [RGB, CAFFE, RAW])
def test_the_teacher_sees_what_its_own_preprocessor_gives(student, teacher):
    same = student is teacher
    preprocessors = [
        DetDataPreprocessor(pad_size_divisor=32, pad_value=pad, **norm)
        for norm, pad in ((student, 0), (teacher, 0 if same else 3))
    ]
    data = toys.batch(size=(41, 70))  # both sides are padded
    ours, expected = (p(data, False) for p in preprocessors)
    adapter = TeacherInput(*preprocessors)
    result = adapter(ours['inputs'], ours['data_samples'])
    assert adapter.identity == same
    if adapter.identity:
        assert result is ours['inputs']
    else:
        torch.testing.assert_close(
            result, expected['inputs'], rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize('norm', [RGB, RAW])
def test_another_padding_alone_is_put_into_a_copy(norm):
    student, teacher = (
        DetDataPreprocessor(pad_size_divisor=32, pad_value=pad, **norm)
        for pad in (0, 3)
    )
    data = toys.batch(size=(41, 70))
    ours, expected = (p(data, False) for p in (student, teacher))
    kept = ours['inputs'].clone()
    result = TeacherInput(student, teacher)(
        ours['inputs'], ours['data_samples']
    )
    assert torch.equal(result, expected['inputs'])
    assert torch.equal(ours['inputs'], kept)


def test_the_algorithm_renormalises():
    cfg = toys.algorithm(
        teacher=toys.detector(width=12, channels=24, norm=CAFFE)
    )
    model = toys.build(cfg)
    assert not any('teacher' in key for key in model.state_dict())
    seen = []
    model.teacher.backbone.register_forward_pre_hook(
        lambda m, args: seen.append(args[0])
    )
    data = toys.batch()
    expected = model.teacher.data_preprocessor(data, True)['inputs']
    toys.losses(model, data)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-3)
    model = toys.build(dict(cfg, match_teacher_input=False))
    assert model.teacher_input is None


@pytest.mark.parametrize('teacher_norm', [None, CAFFE])
def test_a_teacher_without_a_preprocessor_gets_the_students_input(
    teacher_norm,
):
    """MMPretrain has it at the top of a config, where a dict has none."""
    teacher = toys.detector(width=12, channels=24, norm=teacher_norm)
    if teacher_norm is None:
        teacher.pop('data_preprocessor')
    model = toys.build(toys.algorithm(teacher=teacher))
    assert (model.teacher_input is None) == (teacher_norm is None)
    seen = []
    for side in (model.student, model.teacher):
        side.backbone.register_forward_pre_hook(
            lambda m, args: seen.append(args[0])
        )
    toys.losses(model)
    assert torch.equal(*seen) == (teacher_norm is None)


def test_padding_of_segmentation_has_the_teachers_value():
    """MMSegmentation names it `pad_val`."""
    from mmseg.models import SegDataPreProcessor

    student = DetDataPreprocessor(pad_size_divisor=32, **RGB)
    teacher = SegDataPreProcessor(size=(64, 96), pad_val=7, **CAFFE)
    data = toys.batch(size=(41, 70))
    ours = student(data, False)
    result = TeacherInput(student, teacher)(
        ours['inputs'], ours['data_samples']
    )
    assert result[:, :, 41:].eq(7).all() and result[..., 70:].eq(7).all()


@pytest.mark.parametrize('value', [None, (1, 2, 3)])
def test_a_padding_of_ones_own_kind_is_no_padding_to_compare(value):
    student, teacher = (DetDataPreprocessor(**RGB) for _ in range(2))
    student.pad_value = value
    assert TeacherInput(student, teacher).identity
