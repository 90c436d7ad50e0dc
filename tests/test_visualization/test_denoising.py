# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

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


@pytest.mark.parametrize('columns', [2, 7])
@pytest.mark.parametrize('shape', [(4, 4), (9,)])
def test_no_text_leaves_the_picture(columns, shape):
    features = {f't = {i}00': np.random.rand(*shape) for i in range(columns)}
    row = Row('a.png', None, features, ['cos -0.12, SNR -10.1 dB'] * columns)
    title = 'diff_p3: digits_diffkd_retina_of_a_longer_name, iter_12000.pth'
    figure = draw_denoising([row], title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for text in (figure._suptitle, figure._supxlabel):
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1


def test_vectors_stand_in_the_order_of_the_teachers():
    student, teacher = np.array([1.0, 2.0, 3.0]), np.array([0.0, 9.0, 4.0])
    row = Row('a', None, dict(student=student, teacher=teacher), ['cos 1'])
    _, left, right = draw_denoising([row], 'title').axes
    assert [bar.get_height() for bar in left.patches] == [1, 3, 2]
    assert left.lines[0].get_ydata().tolist() == [0, 4, 9]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlabel() == 'cos 1\n3 values, 1 to 3'
