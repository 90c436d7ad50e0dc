# Copyright (c) mmdiffkd contributors.
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmdiffkd.diffusion import NoiseSource


def numbers(source, size=8):
    x = torch.empty(2, 4, 1, size)
    draw = source.draw(x, x, 1000)
    return torch.cat(
        [
            draw.student.flatten(),
            draw.teacher.flatten(),
            draw.timesteps.flatten().float(),
        ]
    )


def test_equal_seeds_give_equal_noise():
    first, second = [], []
    for results in (first, second):
        torch.manual_seed(3)
        source = NoiseSource()
        results += [numbers(source), numbers(source)]
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], first[1])


def test_two_sources_of_one_model_draw_different_noise():
    torch.manual_seed(3)
    a, b = NoiseSource(), NoiseSource()
    assert not torch.equal(numbers(a), numbers(b))


def test_a_stated_seed_does_not_depend_on_the_global_one():
    torch.manual_seed(3)
    a = numbers(NoiseSource(seed=5))
    torch.manual_seed(4)
    assert torch.equal(a, numbers(NoiseSource(seed=5)))
    assert not torch.equal(a, numbers(NoiseSource(seed=6)))


def test_the_global_generator_is_left_alone():
    torch.manual_seed(3)
    source = NoiseSource()
    before = torch.get_rng_state()
    numbers(source)
    assert torch.equal(torch.get_rng_state(), before)


def _rank(rank, world_size, init_file, queue):
    dist.init_process_group(
        'gloo',
        init_method=f'file://{init_file}',
        rank=rank,
        world_size=world_size,
    )
    torch.manual_seed(0)  # alike on all ranks, as MMEngine does
    queue.put((rank, numbers(NoiseSource()).tolist()))
    dist.barrier()
    dist.destroy_process_group()


def test_ranks_draw_different_noise_and_timesteps(tmp_path):
    context = mp.get_context('spawn')
    queue = context.Queue()
    processes = [
        context.Process(target=_rank, args=(rank, 2, tmp_path / 'init', queue))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    drawn = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert drawn[0][:16] != drawn[1][:16], 'same noise on both ranks'
    assert drawn[0][-2:] != drawn[1][-2:], 'same timesteps on both ranks'


def test_noise_has_the_memory_format_of_the_feature():
    source = NoiseSource(seed=0)
    feature = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last)
    noise = source.draw(feature, feature.contiguous(), 10)
    assert noise.student.is_contiguous(memory_format=torch.channels_last)
    assert noise.teacher.is_contiguous()
