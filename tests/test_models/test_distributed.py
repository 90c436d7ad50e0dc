# Copyright (c) mmdiffkd contributors.
"""Two real processes under DDP, without find_unused_parameters."""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from . import toys


def _train(rank, world_size, init_file, queue):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', init_method=f'file://{init_file}', rank=rank,
        world_size=world_size)
    torch.manual_seed(0)  # alike on all ranks, as MMEngine does
    model = toys.build(toys.algorithm())
    wrapped = MMDistributedDataParallel(
        model, broadcast_buffers=False, find_unused_parameters=False)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    logs = []
    for step in range(4):
        model.train()
        model.distillation_stopped = step >= 2
        data = toys.batch(seed=10 * step + rank)
        logs.append({
            key: float(value)
            for key, value in wrapped.train_step(data, optimizer).items()
        })
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    scales = [
        c.diffusion.feature_scale.mean_square.item()
        for c in model.distiller.connectors.values()
    ]
    queue.put((rank, logs, weights.double().sum().item(), scales))
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
    assert ranks[0][2] == ranks[1][2]


def test_distillation_ends_with_the_stop(ranks):
    for _, logs, _, _ in ranks:
        assert 'distill.diff_p3.loss_diff' in logs[1]
        assert logs[2]['distill.loss_stopped'] == 0
        assert 'distill.loss_kd_p3' not in logs[2]


def test_ranks_agree_on_the_feature_scale(ranks):
    assert ranks[0][3] == ranks[1][3]
