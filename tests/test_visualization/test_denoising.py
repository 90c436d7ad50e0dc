# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
import torch

from mmdiffkd.visualization.denoising import Row, draw_denoising
from mmdiffkd.visualization.feature_maps import as_picture, span


@pytest.mark.parametrize(
    'values, expected',
    [
        ([1, 2.5], '1 to 2.5'),
        ([0.99991, 1.0001], '0.9999 to 1'),
        ([3, 3], '3 to 3'),
    ],
)
def test_a_range_has_the_digits_that_tell_it(values, expected):
    assert span(np.array(values)) == expected


@pytest.mark.parametrize(
    'size, shape', [((4, 5), (4, 5)), ((7, 1), (7,)), ((1, 1), (6,))]
)
def test_maps_tokens_and_vectors(size, shape):
    assert as_picture(torch.randn(6, *size)).shape == shape


def test_vectors_stand_in_the_order_of_the_teachers():
    student, teacher = np.array([1.0, 2.0, 3.0]), np.array([0.0, 9.0, 4.0])
    row = Row('a', None, dict(student=student, teacher=teacher), ['cos 1'])
    _, left, right = draw_denoising([row], 'title').axes
    assert [bar.get_height() for bar in left.patches] == [1, 3, 2]
    assert left.lines[0].get_ydata().tolist() == [0, 4, 9]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlabel() == 'cos 1\n3 values, 1 to 3'
