# Copyright (c) mmdiffkd contributors.
"""What is called a mistake of the user, and what keeps its traceback."""

import sys

import pytest
import torch
from torch import nn

from mmdiffkd.diffusion import FeatureDiffusion
from mmdiffkd.diffusion.blocks import build_norm
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.blame import blame, is_defect
from mmdiffkd.utils.explain import explain

MAP = torch.zeros(2, 3, 4, 4)


def fail(function, *inputs, first=True):
    """Run a part; return what leaves the guard."""
    given = {f'x{i}': value for i, value in enumerate(inputs)}
    try:
        with blame("part 'p'", given, first):
            function(*inputs)
    except BaseException as error:
        return error
    raise AssertionError('nothing was raised')


class OfTheUser(nn.Module):
    """A module with a slip, as a user may write one."""

    def forward(self, x):
        return self.no_such_layer(x)


@pytest.mark.parametrize(
    'model, x, defect',
    [
        (OfTheUser(), MAP, True),
        (nn.Linear(2, 2), MAP, False),
        (FeatureDiffusion(8, 8), MAP, False),  # told on purpose
        (FeatureDiffusion(3, 3), None, True),  # a slip
    ],
)
def test_a_step_fails_by_its_input_or_by_a_defect(model, x, defect):
    given = [x] if isinstance(model, nn.Linear | OfTheUser) else [MAP, x]
    try:
        model(*given)
    except Exception as error:
        assert is_defect(error) == defect
    else:
        raise AssertionError('nothing was raised')


class AroundAHost(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.conv(x)


def test_a_host_that_cannot_take_a_shape_is_a_setting():
    error = fail(nn.Conv2d(8, 8, 1), MAP)
    assert type(error) is UserError
    assert str(error).startswith(
        "part 'p' fails on x0 (2, 3, 4, 4): RuntimeError: "
    )
    assert isinstance(error.__cause__, RuntimeError)


def test_a_loss_of_mmrazor_is_a_host():
    loss = MODELS.build(dict(type='mmrazor.L2Loss'))
    assert type(fail(loss, None, MAP)) is UserError


def test_what_has_worked_once_is_a_defect():
    assert type(fail(nn.Conv2d(8, 8, 1), MAP, first=False)) is RuntimeError


@pytest.mark.parametrize(
    'module, kind',
    [
        # PyTorch raises it, in its own `__getattr__`.
        (OfTheUser(), AttributeError),
        (AroundAHost(), RuntimeError),
        (nn.Sequential(OfTheUser()), AttributeError),
    ],
)
def test_code_of_the_user_keeps_its_traceback(module, kind):
    error = fail(module, MAP)
    assert type(error) is kind
    if sys.version_info >= (3, 11):
        (note,) = error.__notes__
        assert "part 'p' on x0 (2, 3, 4, 4)" in note


def test_code_of_this_package_keeps_its_traceback():
    core = FeatureDiffusion(3, 3)
    core.denoiser = nn.Conv2d(8, 8, 1)  # a defect: it takes no timesteps
    assert type(fail(core, MAP, MAP)) is TypeError


def test_what_this_package_raises_on_purpose_is_said_at_any_time():
    error = fail(lambda: build_norm(dict(type='XN'), 8), first=False)
    assert type(error) is UserError
    assert str(error) == (
        "part 'p': norm_cfg type 'XN' is unknown; choose 'BN', 'SyncBN', "
        "'GN' or 'IN'"
    )


def test_an_accident_of_this_package_is_no_setting():
    code = compile('a, b = [1]', 'x.py', 'exec')
    names = {'__name__': 'mmdiffkd.diffusion.accident'}
    assert type(fail(lambda: exec(code, names))) is ValueError


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit, OSError])
def test_other_exceptions_pass(kind):
    names = {'__name__': 'torch.somewhere', 'kind': kind}
    exec('def part(): raise kind()', names)
    assert type(fail(names['part'])) is kind


def test_a_mistake_gets_the_name_of_the_part():
    def refuse():
        raise UserError('x must be 1')

    assert str(fail(refuse, first=False)) == "part 'p': x must be 1"


def test_memory_is_no_setting_of_a_part():
    # PyTorch asks the system for more than any has.
    error = fail(torch.nn.functional.pad, MAP, (0, 2**52, 0, 0))
    assert type(error) is RuntimeError
    assert 'batch_size' in explain(error)
