# Copyright (c) mmdiffkd contributors.
"""Arguments of a class are its own and those that it hands on."""

import pytest

from mmdiffkd.utils import UserError
from mmdiffkd.utils.kinds import arguments_of, check_kinds


class Base:
    def __init__(self, width: int, hidden: float = 1.0) -> None:
        self.width, self.hidden = width, hidden


class Middle(Base):
    """Has no constructor of its own."""


class Open(Middle):
    def __init__(self, depth: int | None = None, **rest) -> None:
        super().__init__(**rest)


class Closed(Open):
    def __init__(self, name: str) -> None:
        super().__init__(width=1)


def test_arguments_follow_the_constructors_that_take_more():
    assert list(arguments_of(Base)) == ['width', 'hidden']
    assert set(arguments_of(Open)) == {'depth', 'width', 'hidden'}
    assert list(arguments_of(Closed)) == ['name']
    assert list(arguments_of(lambda a, *b, c=1, **d: a)) == ['a', 'c']


@pytest.mark.parametrize(
    'values, told',
    [
        (dict(depth='2'), 'here.depth must be an integer or None'),
        (dict(width=2.5), 'here.width must be an integer'),
        (dict(hidden='x'), 'here.hidden must be a finite number'),
    ],
)
def test_arguments_of_bases_are_checked(values, told):
    with pytest.raises(UserError, match=told):
        check_kinds('here', Open, values)
    check_kinds('here', Closed, values)  # takes none of them


def test_fitting_and_unknown_arguments_pass():
    check_kinds('here', Open, dict(depth=None, width=2, hidden=1, other=[]))
