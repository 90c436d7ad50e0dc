# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdiffkd.datasets import SceneComposer, SceneStyle, load_digit_pools

POOL = load_digit_pools()['train']
STYLE = SceneStyle()


def compose(seed, style=STYLE):
    return SceneComposer(POOL, style).compose(np.random.default_rng(seed))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_scene_is_sound(seed):
    scene = compose(seed)
    assert scene.image.shape == (128, 128, 3)
    assert scene.image.dtype == np.uint8
    assert 1 <= len(scene.digits) <= 6
    # Every pixel shows one digit at most.
    assert np.sum([d.mask for d in scene.digits], axis=0).max() <= 1
    labels = dict(zip(POOL.ids, POOL.labels))
    for digit in scene.digits:
        assert labels[digit.sample_id] == digit.label
        x, y, width, height = digit.box
        inside = digit.mask[y : y + height, x : x + width]
        assert inside.sum() == digit.mask.sum()
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.any(), 'the box is not tight'


def test_equal_seeds_give_equal_scenes_and_others_do_not():
    first, again, other = compose(5), compose(5), compose(6)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_no_digit_is_hidden_by_a_later_one():
    style = SceneStyle(digits=(12, 12))
    composer = SceneComposer(POOL, style)
    inks = []
    place = composer._place

    def spy(*args):
        alpha, row = place(*args)
        if alpha is not None:
            inks.append((alpha > 0.5).sum())
        return alpha, row

    composer._place = spy
    scene = composer.compose(np.random.default_rng(0))
    assert len(scene.digits) > 4
    for ink, digit in zip(inks, scene.digits):
        assert digit.mask.sum() >= composer.min_visible * ink


@pytest.mark.parametrize('contrast', [45, 250])
def test_digits_stand_out_as_far_as_colours_allow(contrast):
    style = SceneStyle(
        digits=(1, 1), clutter=(0, 0), noise=0, contrast=contrast
    )
    for seed in range(5):
        scene = compose(seed, style)
        mask = scene.digits[0].mask
        grey = scene.image.mean(axis=2)
        # 0.75 is the least opacity; the ground under the ink is about that
        # of the whole image.
        assert abs(np.median(grey[mask]) - np.median(grey[~mask])) > 15
