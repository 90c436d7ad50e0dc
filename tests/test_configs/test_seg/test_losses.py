# Copyright (c) mmdiffkd contributors.
"""What the distillers of `_base_` compute on real segmentors."""

import numpy as np
import pytest
import torch
from helpers import seg_tiny as tiny

from mmdiffkd.utils import UserError


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def pixels(logits):
    """(N, C, H, W) to (N * H * W, C) in double precision."""
    logits = logits.detach().double().numpy()
    return np.concatenate(
        [image.reshape(len(image), -1).T for image in logits]
    )


def dist_by_hand(student, teacher):
    """One correlation coefficient after the other, as the paper has it."""
    y_s, y_t = softmax(pixels(student)), softmax(pixels(teacher))
    inter = np.mean([1 - np.corrcoef(s, t)[0, 1] for s, t in zip(y_s, y_t)])
    intra = np.mean(
        [1 - np.corrcoef(s, t)[0, 1] for s, t in zip(y_s.T, y_t.T)]
    )
    return inter + intra


def kl_by_hand(student, teacher):
    y_s, y_t = softmax(pixels(student)), softmax(pixels(teacher))
    return np.mean(np.sum(y_t * (np.log(y_t) - np.log(y_s)), axis=1))


def keep_outputs(model, names):
    """Record what the heads predict in one pass of training."""
    kept = {}
    for side in ('architecture', 'teacher'):
        for name in names:
            module = getattr(model, side).get_submodule(name)
            module.register_forward_hook(
                lambda *args, key=(side, name): kept.update({key: args[2]}),
                prepend=True,
            )  # in front of the one that ends the pass
    return kept


@pytest.mark.parametrize(
    'name, loss, by_hand',
    [
        ('dist_seg', 'loss_dist', dist_by_hand),
        ('kd_seg', 'loss_kd', kl_by_hand),
    ],
)
def test_every_pixel_is_an_instance(name, loss, by_hand):
    torch.manual_seed(0)
    model = tiny.algorithm(tiny.distiller(name)).train()
    head = 'decode_head.conv_seg'
    kept = keep_outputs(model, [head])
    losses = tiny.losses(model, tiny.batch(classes=5))
    student, teacher = kept['architecture', head], kept['teacher', head]
    assert student.shape == teacher.shape == (2, 5, 4, 8)
    np.testing.assert_allclose(
        losses[f'distill.{loss}'].item(), by_hand(student, teacher), rtol=1e-5
    )


def test_auxiliary_heads_of_both_are_compared_by_dist_at_weight_0_4():
    torch.manual_seed(0)
    model = tiny.algorithm(tiny.distiller('dist_seg_aux')).train()
    # The teacher's pass ends with the last map; no loss of it is computed.
    model.teacher.auxiliary_head.loss_by_feat = None
    head = 'auxiliary_head.conv_seg'
    kept = keep_outputs(model, [head])
    for seed in range(2):  # the first pass finds out how to run the teacher
        losses = tiny.losses(model, tiny.batch(classes=5, seed=seed))
        expected = dist_by_hand(
            kept['architecture', head], kept['teacher', head]
        )
        np.testing.assert_allclose(
            losses['distill.loss_dist_aux'].item(), 0.4 * expected, rtol=1e-5
        )


def test_predicted_maps_alone_need_no_losses_of_the_teacher():
    model = tiny.algorithm(tiny.distiller('dist_seg')).train()
    model.teacher.decode_head.loss = model.teacher.auxiliary_head = None
    assert 'distill.loss_dist' in tiny.losses(model, tiny.batch(classes=5))


def test_teacher_without_auxiliary_head():
    heads = ['decode_head.conv_seg', 'auxiliary_head.conv_seg']
    teacher = tiny.segmentor(width=12, auxiliary=False)
    with pytest.raises(UserError, match=r"teacher.*'auxiliary_head.conv_seg'"):
        tiny.algorithm(tiny.distiller('dist_seg_aux'), teacher=teacher)
    template = tiny.distiller('diffkd_seg')
    template.pairs.dist_aux = dict(
        recorder_name='logits',
        source='decode_head.conv_seg',
        student=dict(recorder_name='aux', source=heads[1]),
        loss=dict(type='mmdiffkd.DISTLoss', loss_weight=0.4),
    )
    template.pairs.kd.connector.update(student_channels=5, teacher_channels=5)
    model = tiny.algorithm(template, teacher=teacher).train()
    kept = {}
    for side, head in zip(('teacher', 'architecture'), heads):
        getattr(model, side).get_submodule(head).register_forward_hook(
            lambda *args, key=side: kept.update({key: args[2]}), prepend=True
        )
    losses = tiny.losses(model, tiny.batch(classes=5))
    np.testing.assert_allclose(
        losses['distill.loss_dist_aux'].item(),
        0.4 * dist_by_hand(kept['architecture'], kept['teacher']),
        rtol=1e-5,
    )


def test_recorder_that_only_failing_losses_would_fill_is_named():
    model = tiny.algorithm(tiny.distiller('dist_seg_aux')).train()
    model.teacher.decode_head.loss = None
    with pytest.raises(UserError, match="'auxiliary_head.conv_seg'.*fails"):
        tiny.losses(model, tiny.batch(classes=5))


def test_other_classes_than_the_teacher():
    teacher = tiny.segmentor(classes=7)
    model = tiny.algorithm(tiny.distiller('dist_seg'), teacher=teacher)
    with pytest.raises(
        UserError,
        match=r'\(2, 5, 4, 8\).*\(2, 7, 4, 8\).*'
        'num_classes',
    ):
        tiny.losses(model.train(), tiny.batch(classes=5))


def test_classes_that_the_connector_does_not_expect():
    model = tiny.algorithm(tiny.distiller('diffkd_seg'))  # of 19 classes
    with pytest.raises(UserError, match='diff_logits.*student_channels=5'):
        tiny.losses(model.train(), tiny.batch(classes=5))


def test_maps_of_another_stride_are_refused_or_resized():
    student = tiny.segmentor(strides=(1, 2, 2, 2))
    model = tiny.algorithm(tiny.distiller('dist_seg'), student=student)
    with pytest.raises(UserError, match=r'\(2, 5, 1, 2\).*\(2, 5, 4, 8\)'):
        tiny.losses(model.train(), tiny.batch(classes=5))

    template = tiny.distiller('diffkd_seg')
    template.pairs.kd.connector.update(student_channels=5, teacher_channels=5)
    model = tiny.algorithm(template, student=student)
    with pytest.raises(UserError, match='diff_logits.*resize'):
        tiny.losses(model.train(), tiny.batch(classes=5))
    template.pairs.kd.connector.resize = 'bilinear'
    model = tiny.algorithm(template, student=student)
    losses = tiny.losses(model.train(), tiny.batch(classes=5))
    assert torch.isfinite(losses['distill.loss_kd'])
