# Copyright (c) mmdiffkd contributors.
"""Start two real processes, and fail as soon as one does."""

import queue as queues
import time
import traceback

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def _enter(rank, function, init_file, answers, args):
    try:
        torch.set_num_threads(1)
        dist.init_process_group(
            'gloo', init_method=f'file://{init_file}', rank=rank, world_size=2
        )
        answers.put((rank, function(rank, *args), None))
        dist.barrier()
    except BaseException:
        answers.put((rank, None, traceback.format_exc()))
        raise
    finally:
        dist.destroy_process_group()


def run_two(function, folder, *args, limit=400):
    """Run ``function(rank, *args)`` in two processes connected by gloo.

    Returns:
        list: What the ranks returned.

    Raises:
        AssertionError: With the traceback of the rank that failed first; the
            other, which waits for it, is ended.
    """
    context = mp.get_context('spawn')
    answers = context.Queue()
    processes = [
        context.Process(
            target=_enter,
            daemon=True,
            args=(rank, function, folder / 'init', answers, args),
        )
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    results, end = {}, time.monotonic() + limit
    try:
        while len(results) < 2:
            # What a process said before it ended is still to be heard.
            codes = [p.exitcode for p in processes]
            try:
                rank, result, failure = answers.get(
                    timeout=10 if any(codes) else 1
                )
            except queues.Empty:
                assert not any(codes), f'a process ended with {codes}'
                assert time.monotonic() < end, 'the processes hang'
                continue
            assert failure is None, f'rank {rank}:\n{failure}'
            results[rank] = result
        for process in processes:
            process.join(60)
            assert process.exitcode == 0
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
    return [results[0], results[1]]
