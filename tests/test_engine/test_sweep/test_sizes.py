# Copyright (c) mmdiffkd contributors.
"""Which image size a model takes, and what is told if none."""

import pytest
from torch import nn

from mmdiffkd.engine.sweep.inventory import no_initialisation
from mmdiffkd.engine.sweep.stock_step import first_that_works


def failing(errors):
    def attempt(size):
        if size in errors:
            raise errors[size]
        return -size

    return attempt


def test_the_first_size_that_works_is_taken():
    assert first_that_works([1, 2, 3], failing({1: ValueError()})) == (2, -2)


def test_what_a_model_says_it_cannot_do_is_the_reason():
    refused = NotImplementedError('no training')
    errors = {1: ValueError('1'), 2: refused, 3: ValueError('3')}
    with pytest.raises(NotImplementedError, match='no training'):
        first_that_works(errors, failing(errors))
    del errors[2]
    with pytest.raises(ValueError, match='1'):
        first_that_works(errors, failing(errors))


def test_parameters_that_are_not_initialised_are_the_same_each_time():
    with no_initialisation():
        layer = nn.Linear(3, 4)
    assert not layer.weight.any() and layer.weight.requires_grad
    assert nn.Linear(3, 4).weight.any()
