# Copyright (c) mmdiffkd contributors.
"""What PyTorch's allocator gives and takes back, as its profiler tells it."""

from torch.profiler import ProfilerActivity, profile, record_function


def memory_of(forward, backward):
    """Run both, and see how much memory there is between them and at most.

    Args:
        forward (Callable): Returns what ``backward`` takes.
        backward (Callable): Leaves nothing behind.

    Returns:
        tuple[int, int]: Bytes above the start, after ``forward`` and at the
        worst moment.
    """
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True
    ) as watched:
        kept = forward()
        with record_function('between'):
            pass
        backward(kept)
    events = watched.profiler.kineto_results.events()
    between = next(e.start_ns() for e in events if e.name() == 'between')
    changes = sorted(
        (e.start_ns(), e.nbytes()) for e in events if e.name() == '[memory]'
    )
    assert changes
    now = most = after = 0
    for time, size in changes:
        now += size
        most = max(most, now)
        if time < between:
            after = now
    return after, most
