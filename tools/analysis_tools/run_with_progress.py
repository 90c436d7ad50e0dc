#!/usr/bin/env python
# Copyright (c) mmdiffkd contributors.
"""Run a command, keep its output in a log file and show short progress.

Understands the log lines of MMEngine. Standard library and rich alone, so
that the first sign of life does not wait for PyTorch.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

from rich.console import Console

# Epoch(train) [2][ 5/50] of epoch-based loops, Iter(train) [ 5/600] of others.
TRAIN = re.compile(
    r'(?:Epoch\(train\)\s+\[(?P<epoch>\d+)\]|'
    r'Iter\(train\)\s+)\[\s*(?P<step>\d+/\d+)\].*?'
    r'eta: (?P<eta>[\d:, day]+?)\s\s'
)
LOSS = re.compile(r'\sloss: (?P<loss>\S+)')
# By the logged name: name for people, factor that makes per cent.
METRICS = {
    'coco/bbox_mAP': ('AP', 100),
    'mIoU': ('mIoU', 1),
    'accuracy/top1': ('top-1', 1),
}
METRIC = re.compile(rf'\s({"|".join(METRICS)}): ([-\d.]+)')


class Progress:
    """What the output of a command tells about its progress.

    Args:
        title (str): Name of the command, for people.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.start = time.monotonic()
        self.news = {}
        self.tail: list[str] = []

    def read(self, line: str) -> None:
        """Take note of one line of output."""
        self.tail = [*self.tail, line][-25:]
        train, metric = TRAIN.search(line), METRIC.search(line)
        if train:
            if train['epoch']:
                self.news['epoch'] = f'epoch {train["epoch"]}'
            self.news['step'] = f'iteration {train["step"]}'
            loss = LOSS.search(line)
            if loss:
                self.news['loss'] = f'loss {loss["loss"]}'
            self.news['eta'] = f'{train["eta"]} left'
        elif metric:
            name, factor = METRICS[metric[1]]
            self.news['metric'] = f'{name} {factor * float(metric[2]):.1f}'

    def elapsed(self) -> str:
        """Return the time since the start as minutes and seconds."""
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        return f'{minutes}:{seconds:02d}'

    def __str__(self) -> str:
        order = ('epoch', 'step', 'loss', 'metric', 'eta')
        news = ', '.join(self.news[k] for k in order if k in self.news)
        return f'{self.title}  {self.elapsed()}  {news or "running"}'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n')[0],
        usage='%(prog)s [-h] [--title TITLE] [--interval SECONDS] --log FILE '
        '-- COMMAND ...',
    )
    parser.add_argument('--title', default='run', help='name to show')
    parser.add_argument(
        '--log', required=True, metavar='FILE', help='file for all output'
    )
    parser.add_argument(
        '--interval',
        type=float,
        default=5,
        metavar='SECONDS',
        help='time between two lines where the output is no terminal '
        '(default: 5)',
    )
    parser.add_argument('command', nargs='+', help='command and arguments')
    return parser.parse_args()


def run(
    command: list[str], log: str, progress: Progress, interval: float
) -> int:
    """Run a command to its end.

    Args:
        command (List[str]): Program and arguments.
        log (str): File that takes all output.
        progress (Progress): Is told every line.
        interval (float): Between two lines of progress (s).

    Returns:
        int: Exit code of the command, 128 + N after signal N.
    """
    console = Console(highlight=False)
    # Before the command is started: without its log it would run unseen.
    try:
        open(log, 'w').close()
    except OSError as error:
        sys.exit(f'error: --log {log}: {error.strerror}')
    if shutil.which(command[0]) is None:
        print(f'error: {command[0]}: command not found', file=sys.stderr)
        return 127
    # A plain kill must not leave the command behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        env=dict(os.environ, PYTHONUNBUFFERED='1'),
    )
    try:
        reader = threading.Thread(
            target=_follow, args=(process.stdout, log, progress), daemon=True
        )
        reader.start()
        _show(console, progress, reader, interval)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return code if code >= 0 else 128 - code


def _show(
    console: Console,
    progress: Progress,
    reader: threading.Thread,
    interval: float,
) -> None:
    """Show the progress until the output ends."""
    live = console.is_terminal
    with console.status(str(progress)) if live else nullcontext() as line:
        if not live:
            print(progress, flush=True)
        while reader.is_alive():
            reader.join(0.5 if live else interval)
            if live:
                line.update(str(progress))
            elif reader.is_alive():
                print(progress, flush=True)


def _follow(stream, log: str, progress: Progress) -> None:
    """Copy a stream to the log, line by line."""
    with open(log, 'w') as file:
        for line in stream:
            file.write(line)
            file.flush()
            progress.read(line)


def main() -> int:
    """Run the command and say how it ended."""
    args = parse_args()
    if not args.interval > 0:
        sys.exit(f'error: --interval must be positive, got {args.interval}')
    progress = Progress(args.title)
    code = run(args.command, args.log, progress, args.interval)
    if code:
        sys.stdout.flush()
        print(''.join(progress.tail), file=sys.stderr, end='')
        print(
            f'error: {args.title} failed with exit code {code} after '
            f'{progress.elapsed()}; the full log is {args.log}',
            file=sys.stderr,
        )
    else:
        metric = progress.news.get('metric')
        print(
            f'{args.title}  {progress.elapsed()}  done'
            + (f', {metric}' if metric else '')
        )
    return code


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
