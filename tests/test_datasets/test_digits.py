# Copyright (c) mmdiffkd contributors.
import numpy as np

from mmdiffkd.datasets import CLASSES, load_digit_pools


def test_no_handwriting_is_in_two_splits_and_none_is_lost():
    pools = load_digit_pools(seed=3)
    ids = np.concatenate([pool.ids for pool in pools.values()])
    assert len(set(ids)) == len(ids) == 1797


def test_shares_hold_in_every_class():
    pools = load_digit_pools()
    counts = {
        split: np.bincount(pool.labels, minlength=len(CLASSES))
        for split, pool in pools.items()
    }
    total = sum(counts.values())
    np.testing.assert_allclose(counts['train'] / total, 0.7, atol=0.01)
    np.testing.assert_allclose(counts['test'] / total, 0.2, atol=0.01)


def test_pools_hold_the_rows_they_name():
    from sklearn.datasets import load_digits

    digits = load_digits()
    pool = load_digit_pools()['val']
    np.testing.assert_array_equal(pool.labels, digits.target[pool.ids])
    np.testing.assert_allclose(pool.images * 16, digits.images[pool.ids])


def test_seed_changes_the_division():
    first, second = load_digit_pools(0), load_digit_pools(1)
    assert set(first['test'].ids) != set(second['test'].ids)
