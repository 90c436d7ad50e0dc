# Copyright (c) mmdiffkd contributors.
"""DSKD in two real processes under DDP, without find_unused_parameters."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from helpers import dskd_toys, task_toys
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from mmdiffkd.models import LSHFeatureLoss


def features(step):
    generator = torch.Generator().manual_seed(step)
    return torch.empty(8, 6).exponential_(generator=generator)


def _train(rank, world_size, init_file, queue):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{init_file}',
        rank=rank,
        world_size=world_size,
    )
    torch.manual_seed(0)  # alike on all ranks, as MMEngine does
    model = dskd_toys.build('cls')
    wrapped = MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False
    )
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    for step in range(3):
        model.train()
        model.distillation_stopped = step == 2
        data = task_toys.batch('cls', seed=10 * step + rank)
        log = wrapped.train_step(data, optimizer)
        assert step == 2 or 'distill.dskd.log_prob' in log
    loss = model.distiller.distill_losses['loss_dskd']

    # Each rank sees its half of the batch.
    alone = LSHFeatureLoss(6, 20)
    for step in range(20):
        half = features(step).chunk(world_size)[rank]
        alone(half, half)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    queue.put(
        (
            rank,
            weights.double().sum().item(),
            loss.weight.tolist(),
            loss.bias.tolist(),
            alone.bias.tolist(),
            all(p.grad is None for p in model.teacher.parameters()),
        )
    )
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    context = mp.get_context('spawn')
    queue = context.Queue()
    init_file = tmp_path_factory.mktemp('ddp') / 'init'
    processes = [
        context.Process(target=_train, args=(rank, 2, init_file, queue))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    results = sorted(queue.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return results


def test_weights_stay_equal_before_and_after_the_stop(ranks):
    assert ranks[0][1] == ranks[1][1]


def test_ranks_share_the_hash(ranks):
    assert ranks[0][2] == ranks[1][2], 'W'
    assert ranks[0][3] == ranks[1][3], 'the bias'
    assert any(ranks[0][3])


def test_the_bias_is_that_of_the_whole_batch(ranks):
    """Up to its first value, a mean of two medians, which fades."""
    whole = LSHFeatureLoss(6, 20)
    for step in range(20):
        whole(features(step), features(step))
    assert ranks[0][4] == ranks[1][4]
    difference = torch.tensor(ranks[0][4]) - whole.bias
    assert (difference.abs() / whole.deviation).mean() < 0.1


def test_no_gradient_reaches_the_teacher(ranks):
    assert ranks[0][5] and ranks[1][5]
