# Copyright (c) mmdiffkd contributors.
"""Random generators of a resumed run."""

import io
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmdiffkd.diffusion import NoiseSource
from mmdiffkd.engine.hooks import RNGStateHook, rng_state_hook
from mmdiffkd.utils import isolated_rng


class Model(nn.Module):
    def __init__(self, seed=None):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.noise_source = NoiseSource(seed)
        self.distillation_stopped = False


@pytest.fixture(autouse=True)
def _isolated():
    with isolated_rng():
        yield


def runner(model, said=None, val_loop=None):
    return SimpleNamespace(
        model=model,
        seed=1,
        iter=5,
        _resume=True,
        val_loop=val_loop,
        train_dataloader=SimpleNamespace(),
        logger=SimpleNamespace(
            warning=(said if said is not None else []).append
        ),
    )


def draw(model):
    map_ = torch.zeros(1, 1, 2, 2)
    noise = model.noise_source.draw(map_, map_, 100)
    return [
        random.random(),
        np.random.rand(),
        torch.rand(()).item(),
        *noise.student.flatten().tolist(),
        noise.timesteps.item(),
    ]


def saved(model):
    """Through a file, as a reader that trusts nobody gets it."""
    hook, checkpoint = RNGStateHook(), {}
    hook.before_save_checkpoint(runner(model), checkpoint)
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def resume(model, checkpoint):
    hook, said = RNGStateHook(), []
    hook.after_load_checkpoint(runner(model, said), checkpoint)
    hook.before_train(runner(model, said))
    return said


@pytest.mark.parametrize('drawn_before', [True, False])
@pytest.mark.parametrize('seed', [None, 7])
def test_all_generators_go_on(seed, drawn_before):
    torch.manual_seed(11)
    model = Model(seed)
    if drawn_before:
        draw(model)
    checkpoint = saved(model)
    expected = draw(model)
    torch.manual_seed(12)
    random.seed(13)
    np.random.seed(14)
    other = Model(seed)
    draw(other)
    assert resume(other, checkpoint) == []
    assert draw(other) == expected


def test_the_stop_of_distillation_is_kept():
    model = Model()
    model.distillation_stopped = True
    checkpoint = saved(model)
    other = Model()
    RNGStateHook().after_load_checkpoint(runner(other), checkpoint)
    assert other.distillation_stopped is True


def test_another_number_of_processes_is_told_and_seeded_anew(monkeypatch):
    model = Model()
    checkpoint = saved(model)
    expected = draw(model)
    monkeypatch.setattr(rng_state_hook, 'get_world_size', lambda: 2)
    drawn = []
    for rank in (0, 1, 1):
        monkeypatch.setattr(rng_state_hook, 'get_rank', lambda r=rank: r)
        said = resume(model, checkpoint)
        assert '1 of 1 processes on cpu, this run has 2 on cpu' in said[0]
        drawn.append(draw(model))
    assert drawn[1] == drawn[2]
    for first, second, old in zip(drawn[0], drawn[1], expected):
        assert isinstance(first, int) or len({first, second, old}) == 3


def test_a_checkpoint_of_mmengine_is_told():
    assert 'no states of random generators' in resume(Model(), {})[0]


def test_load_from_takes_no_states():
    model = Model()
    checkpoint = saved(model)
    hook = RNGStateHook()
    starting = runner(model)
    starting._resume = False
    expected = draw(model)
    hook.after_load_checkpoint(starting, checkpoint)
    hook.before_train(starting)
    assert draw(model) != expected


def test_validation_draws_for_itself():

    class Loop:
        def run(self):
            return [draw(model) for _ in range(3)]

    model, loop = Model(3), Loop()
    hook = RNGStateHook()
    training = runner(model, val_loop=loop)
    hook.before_train(training)
    state = random.getstate(), np.random.get_state()[1].tolist()
    numbers = torch.get_rng_state()
    assert len(loop.run()) == 3
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state
    assert torch.equal(torch.get_rng_state(), numbers)
    hook.after_train(training)
    assert 'run' not in vars(loop)


def test_saving_during_validation_saves_the_generators_of_training():

    class Loop:
        def run(self):
            draw(model)
            checkpoints.append(saved_by(hook))

    def saved_by(hook):
        checkpoint = {}
        hook.before_save_checkpoint(training, checkpoint)
        return checkpoint['rng_states']['ranks'][0]['global']

    model, checkpoints = Model(3), []
    hook = RNGStateHook()
    training = runner(model, val_loop=Loop())
    hook.before_train(training)
    before = saved_by(hook)
    training.val_loop.run()
    assert torch.equal(checkpoints[0]['torch'], before['torch'])
    assert torch.equal(checkpoints[0]['python'][1], before['python'][1])
