# Copyright (c) mmdiffkd contributors.
"""Runs in processes of their own, which a server forks (``trainee.py``)."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

TRAINEE = Path(__file__).parents[1] / 'helpers/trainee.py'


@pytest.fixture(scope='session')
def forked(tmp_path_factory):
    """Run ``dict(work_dir=..., **arguments of trainee.config)``.

    Returns its events and exit codes; ``kill_at=N`` and ``kind='C'`` choose
    an event at which it is killed, ``signals=[[rank, name], ...]`` how.
    """
    log = tmp_path_factory.mktemp('server') / 'log.txt'
    with open(log, 'w') as file:
        server = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).parents[1] / 'helpers/trainee.py'),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )

    def run(spec, check=True, **how):
        spec = dict(spec, work_dir=str(spec['work_dir']))
        server.stdin.write(json.dumps(dict(spec=spec, **how)) + '\n')
        server.stdin.flush()
        line = server.stdout.readline()
        assert line, log.read_text()[-3000:]
        answer = SimpleNamespace(**json.loads(line), log='')
        for rank, _ in enumerate(answer.codes):
            path = Path(f'{spec["work_dir"]}.{rank}.log')
            answer.log += path.read_text() if path.exists() else ''
        if check and 'kill_at' not in how:
            assert set(answer.codes) == {0}, answer.log[-3000:]
        return answer

    yield run
    server.stdin.close()
    server.wait(60)


@pytest.fixture(scope='session')
def uninterrupted(forked, tmp_path_factory):
    """Work dir and events of a whole run; each is made once."""
    runs = {}

    def run(loop='epoch', processes=1, workers=0):
        key = loop, processes, workers
        if key not in runs:
            work_dir = tmp_path_factory.mktemp('whole') / 'run'
            answer = forked(
                dict(
                    work_dir=work_dir,
                    loop=loop,
                    processes=processes,
                    workers=workers,
                )
            )
            runs[key] = work_dir, answer.events
        return runs[key]

    return run
