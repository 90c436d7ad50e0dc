# Copyright (c) mmdiffkd contributors.
"""Run functions in forked processes, within a time and a memory limit."""

import multiprocessing
import os
import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

TICKS = os.sysconf('SC_CLK_TCK')
PAGE = os.sysconf('SC_PAGE_SIZE')
GIB = 2**30


class Job(NamedTuple):
    """A call of a function that gives a dict of plain values.

    Attributes:
        key (str): Name of the job.
        function (Callable): What to call.
        arguments (tuple): With what.
        share (float): Of the limits that it may take. Defaults to 1.
    """

    key: str
    function: Callable[..., dict[str, Any]]
    arguments: tuple = ()
    share: float = 1.0


class Limits(NamedTuple):
    """What a process may take.

    Attributes:
        seconds (float): Of a core, so that a busy machine fails nobody. A
            process that waits for something may take ten times as long.
        gib (float): Of memory, beyond what it shares with its parent.
    """

    seconds: float = 180.0
    gib: float = 6.0

    def of(self, job: Job) -> 'Limits':
        """Those of a job, by its share."""
        return Limits(self.seconds * job.share, self.gib * job.share)


class _Running(NamedTuple):
    job: Job
    process: Any
    pipe: Connection
    started: float


def run_limited(
    take: Callable[[], Job | None], limits: Limits, workers: int = 1
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Run jobs in processes of their own, forked from this one.

    Whatever this process has imported need not be imported again. Closing the
    iterator, as an interrupt does, ends what still runs.

    Args:
        take (Callable): Gives the next job, or None if there is none for
            now; asked when a worker is free. All ends when there is none and
            nothing runs.
        limits (Limits): For each job.
        workers (int): Jobs at a time. Defaults to 1.

    Raises:
        KeyboardInterrupt: If a process was ended by SIGTERM, which is not
            for the job to answer for.

    Yields:
        tuple[Job, dict]: In the order in which they end: what the function
        gave, ``seconds`` and ``gib`` added, or a dict with ``error`` (a line)
        and ``where`` (the last line of code that took part).
    """
    running: list[_Running] = []
    try:
        while True:
            while len(running) < workers and (job := take()) is not None:
                running.append(_start(job, limits.of(job)))
            if not running:
                return
            wait([one.pipe for one in running], timeout=0.5)
            for one in running[:]:
                result = _result(one, limits.of(one.job))
                if result is not None:
                    running.remove(one)
                    yield one.job, result
    finally:
        for one in running:
            _end(one)


def _start(job: Job, limits: Limits) -> _Running:
    fork = multiprocessing.get_context('fork')
    receiving, sending = fork.Pipe(duplex=False)
    process = fork.Process(target=_child, args=(job, limits, sending))
    process.start()
    sending.close()
    return _Running(job, process, receiving, time.monotonic())


def _result(one: _Running, limits: Limits) -> dict[str, Any] | None:
    """What a job has given; None as long as it may go on."""
    took = time.monotonic() - one.started
    result: dict[str, Any] | None = None
    if one.pipe.poll():
        try:
            result = one.pipe.recv()
        except EOFError:
            one.process.join(60)  # a busy machine takes its time
            code = one.process.exitcode or 0
            if code == -signal.SIGTERM:  # told to end, as this one will be
                raise KeyboardInterrupt from None
            how = signal.Signals(-code).name if code < 0 else f'code {code}'
            result = dict(error=f'Crash: the process ended with {how}')
    elif max(took / 10, _core_seconds(one.process.pid)) > limits.seconds:
        result = dict(error=f'TimeLimit: over {limits.seconds:g} s')
    if result is None:
        return None
    _end(one)
    return dict(result, seconds=round(took, 1))


def _core_seconds(process: int) -> float:
    try:
        with open(f'/proc/{process}/stat') as file:
            fields = file.read().rpartition(')')[2].split()
    except OSError:  # it has just ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _end(one: _Running) -> None:
    if one.process.is_alive():
        one.process.join(0.5)
        one.process.kill()
    one.process.join()
    one.pipe.close()


def _child(job: Job, limits: Limits, pipe: Connection) -> None:
    # An interrupt at the keyboard is for the parent, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A training in the parent has its children block what is told to it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    with open('/proc/self/statm') as file:
        own = int(file.read().split()[0]) * PAGE
    allowed = own + int(limits.gib * GIB)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    before = _peak()
    try:
        result = dict(job.function(*job.arguments))
    except BaseException as error:
        result = told(error)
    if result.get('error', '').startswith('MemoryError'):
        result['error'] = f'MemoryLimit: over {limits.gib:g} GiB'
    result['gib'] = round(max(0.0, _peak() - before), 2)
    pipe.send(result)
    pipe.close()
    os._exit(0)


def told(error: BaseException) -> dict[str, Any]:
    """An exception as one line, with the place that raised it."""
    lines = str(error).strip().splitlines() or ['']
    text = without_places(' '.join(line.strip() for line in lines))
    if 'alloc' in text and 'memory' in text:
        return dict(error=f'MemoryError: {text}'[:600])
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[-1] if frames else None
    where = ''
    if frame is not None:
        where = f'{without_places(frame.filename)}:{frame.lineno}'
    return dict(error=f'{type(error).__name__}: {text}'[:600], where=where)


def without_places(text: str) -> str:
    """A message without the folders of this machine: packages, or names."""
    for root in ('site-packages/', '(?=mmdiffkd/)', ''):
        text = re.sub(rf"(?<![\w:/.~])/(?:[^\s/'\"]+/)+{root}", '', text)
    return text


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
