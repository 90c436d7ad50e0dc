# Copyright (c) mmdiffkd contributors.
"""Two real processes under DDP, without find_unused_parameters."""

import pytest
import torch
from helpers import task_toys, toys
from helpers.processes import run_two
from mmengine.model import (
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    revert_sync_batchnorm,
)
from mmengine.optim import OptimWrapper

from mmdiffkd.diffusion import NoiseDraw

GN = dict(type='GN', num_groups=4, requires_grad=True)
KEYS = ('distill', 'student alone')


def fix_noise(model, start, count, total=4):
    """Give sample i of the whole batch the same noise in any split."""

    def draw(index):

        def numbers(student, teacher, num_train_timesteps, generator=None):
            generator = torch.Generator().manual_seed(index)
            part = slice(start, start + count)
            return NoiseDraw(
                torch.randn(total, *student.shape[1:], generator=generator)[
                    part
                ],
                torch.randn(total, *teacher.shape[1:], generator=generator)[
                    part
                ],
                torch.randint(
                    num_train_timesteps, (total,), generator=generator
                )[part],
            )

        return numbers

    for i, connector in enumerate(model.distiller.connectors.values()):
        connector.diffusion.noise_source.draw = draw(i)


def gradients(task, start, count, wrap):
    """Gradients of samples of a batch of four, before and after the stop."""
    torch.manual_seed(0)
    model = task_toys.build(
        task, task_toys.algorithm(task, norm=GN, norm_cfg=dict(type='GN'))
    )
    model.train()
    fix_noise(model, start, count)
    wrapped = model
    if wrap:
        wrapped = MMDistributedDataParallel(
            model, broadcast_buffers=False, find_unused_parameters=False
        )
    result = {}
    for key in KEYS:
        model.distillation_stopped = key == KEYS[1]
        whole = task_toys.batch(task, n=4)
        part = {k: v[start : start + count] for k, v in whole.items()}
        data = model.data_preprocessor(part, True)
        loss, _ = model.parse_losses(wrapped(**data, mode='loss'))
        model.zero_grad()
        loss.backward()
        result[key] = {
            name: p.grad.clone().numpy()
            for name, p in model.named_parameters()
            if p.grad is not None
        }
    return result


def _train(rank):
    """Four steps, the last two without distillation."""
    torch.manual_seed(0)  # alike on all ranks, as MMEngine does
    model = toys.build(toys.algorithm())
    wrapped = MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False
    )
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    logs = []
    for step in range(4):
        model.train()
        model.distillation_stopped = step >= 2
        data = toys.batch(seed=10 * step + rank)
        logs.append(
            {
                key: float(value)
                for key, value in wrapped.train_step(data, optimizer).items()
            }
        )
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    scales = [
        c.diffusion.feature_scale.mean_square.item()
        for c in model.distiller.connectors.values()
    ]
    return logs, weights.double().sum().item(), scales


def _work(rank):
    return dict(
        train=_train(rank),
        gradients={
            task: gradients(task, 2 * rank, 2, wrap=True)
            for task in task_toys.TASKS
        },
    )


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    return run_two(_work, tmp_path_factory.mktemp('ddp'))


@pytest.mark.parametrize('task', task_toys.TASKS)
@pytest.mark.parametrize('key', KEYS)
def test_two_halves_are_the_whole_batch(ranks, task, key):
    """Norms over a sample each, and losses that are means over samples.

    The toy detector finds equally many positive anchors in every image, so
    that its task losses are such means too.
    """
    whole = gradients(task, 0, 4, wrap=False)[key]
    for rank in ranks:
        halves = rank['gradients'][task][key]
        for name, value in whole.items():
            torch.testing.assert_close(
                torch.from_numpy(halves[name]),
                torch.from_numpy(value),
                rtol=2e-3,
                atol=2e-6 + 1e-4 * float(abs(value).max()),
                msg=lambda text, name=name: f'{name}: {text}',
            )
        # DDP's zeros for what is not used after the stop.
        assert all(
            (halves[name] == 0).all() for name in set(halves) - set(whole)
        )


def test_the_halves_differ():
    """Guards the test above: one half alone is not the whole."""
    whole = gradients('cls', 0, 4, wrap=False)[KEYS[0]]
    half = gradients('cls', 0, 2, wrap=False)[KEYS[0]]
    name = 'architecture.head.fc.weight'
    assert abs(whole[name] - half[name]).max() > 1e-3


def test_weights_stay_equal_before_and_after_the_stop(ranks):
    assert ranks[0]['train'][1] == ranks[1]['train'][1]


def test_distillation_ends_with_the_stop(ranks):
    for rank in ranks:
        logs = rank['train'][0]
        assert 'distill.diff_p3.loss_diff' in logs[1]
        assert logs[2]['distill.loss_stopped'] == 0
        assert 'distill.loss_kd_p3' not in logs[2]


def test_ranks_agree_on_the_feature_scale(ranks):
    assert ranks[0]['train'][2] == ranks[1]['train'][2]


def _fail(rank):
    if rank == 1:
        raise ValueError('rank one gives up')
    torch.distributed.barrier()  # would wait for ever


def test_a_failing_rank_ends_the_test_at_once(tmp_path):
    with pytest.raises(AssertionError, match='rank one gives up'):
        run_two(_fail, tmp_path)


def test_sync_bn_reaches_student_and_connectors_and_not_the_teacher():
    """PyTorch runs SyncBN on GPUs alone; here, what ``sync_bn`` converts."""
    model = task_toys.build('seg', task_toys.algorithm('seg'))
    kind, plain = torch.nn.SyncBatchNorm, torch.nn.BatchNorm2d

    def count(module, kind):
        return sum(type(m) is kind for m in module.modules())

    norms = sum(isinstance(m, plain) for m in model.modules())
    model = convert_sync_batchnorm(model, 'torch')
    assert count(model, kind) == norms > 0
    assert count(model.distiller, kind) and count(model.student, kind)
    assert count(model.teacher, plain) and not count(model.teacher, kind)
    # One process, as MMEngine does it: trains as before.
    model = revert_sync_batchnorm(model)
    model.train()
    data = model.data_preprocessor(task_toys.batch('seg'), True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
