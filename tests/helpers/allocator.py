# Copyright (c) mmdiffkd contributors.
"""What PyTorch's allocator gives and takes back, as its profiler tells it."""

from bisect import bisect_right
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile, record_function

CONVOLUTIONS = ('aten::convolution', 'aten::convolution_backward')


def memory_of(forward, backward):
    """Run both, and see how much memory there is between them and at most.

    What a convolution takes and gives back before it ends, its workspace, does
    not count: it depends on the processor.

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
    spans = sorted(
        (e.start_ns(), e.end_ns()) for e in events if e.name() in CONVOLUTIONS
    )
    starts = [start for start, _ in spans]
    # The latest so far: one may stand inside of another.
    ends = list(accumulate((end for _, end in spans), max))

    def counts_from(time):
        """The end of the convolution that runs then, else the time itself."""
        before = bisect_right(starts, time)
        return max(time, ends[before - 1]) if before else time

    changes = {}
    for event in events:
        if event.name() == '[memory]':
            time = counts_from(event.start_ns())
            changes[time] = changes.get(time, 0) + event.nbytes()
    assert changes and spans
    now = most = after = 0
    for time, size in sorted(changes.items()):
        now += size
        most = max(most, now)
        if time < between:
            after = now
    return after, most
