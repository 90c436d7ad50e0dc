# Copyright (c) mmdiffkd contributors.
"""Train and test in processes of their own, which can be told to stop."""

import fcntl
import json
import os
import os.path as osp
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import IO, Any, NamedTuple

import mmdiffkd
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.files import read_checkpoint

from ..latest_checkpoint import latest_checkpoint
from .logs import (
    NoResult,
    is_number,
    not_finite,
    read_log,
    read_note,
    scalars,
    training_log,
    validated,
    without,
    write_note,
)
from .run import DIFFUSION, TEACHER, Run

MISTAKE = 2
"""Exit code of the tools where one line tells what is wrong."""
DIVERGED = 'not finite'
"""Words of that line where a loss, and so the setting, is at fault."""
DIFFUSION_FILE = 'diffusion.pth'
_MMDIFFKD = (sys.executable, '-m', 'mmdiffkd')


def say(line: str) -> None:
    """Print a line so that a log file has it at once."""
    print(line, flush=True)


class Interrupted(Exception):
    """The study was told to stop; this run goes on next time."""


class FailedRun(Exception):
    """A run that diverged: a result of its setting, and kept as one."""


class Usage(NamedTuple):
    """What a process took, in seconds: of the wall clock, and of a core."""

    wall: float
    cpu: float


class Tools:
    """The commands of a study.

    Args:
        train (Sequence[str]): Command that trains, to which config, work dir,
            seed and options are added as ``mmdiffkd train`` takes them.
            Defaults to that command.
        test (Sequence[str]): Likewise ``mmdiffkd test``.
        pretrain (Sequence[str]): Likewise ``mmdiffkd pretrain-diffusion``.
        threads (int): OMP_NUM_THREADS of each. Defaults to 1.
        tell (Callable): Shows a line of progress. Defaults to
            :func:`say`.
    """

    def __init__(
        self,
        train: Sequence[str] = (*_MMDIFFKD, 'train'),
        test: Sequence[str] = (*_MMDIFFKD, 'test'),
        pretrain: Sequence[str] = (*_MMDIFFKD, 'pretrain-diffusion'),
        threads: int = 1,
        tell: Callable[[str], None] = say,
    ) -> None:
        self.train, self.test = list(train), list(test)
        self.pretrain = list(pretrain)
        self.threads, self.tell = threads, tell
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Let every process save and leave; further ones do not start."""
        self._stopping.set()
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGTERM)

    def execute(
        self, run: Run, folder: str, files: Mapping[str, str], metric: str
    ) -> dict[str, Any]:
        """Train, and test if that is the run's purpose.

        Args:
            run (Run): What to do.
            folder (str): Its work dir. A run that was interrupted there goes
                on.
            files (Mapping[str, str]): Weights of the teacher and the
                diffusion models, by the config keys that name them.
            metric (str): Name of the result.

        Returns:
            Dict[str, Any]: ``val`` and ``test`` of the metric, ``seconds``
            and ``cpu_seconds`` of the training, ``iterations``,
            ``seconds_per_iteration``, and ``resumed``. Of diffusion models
            ``val`` is the mean of their ``loss_diff``.

        Raises:
            Interrupted: If the study was told to stop.
            FailedRun: If it diverged.
            NoResult: If its validation, or its test, has no such metric.
            RuntimeError: If it ended otherwise than it should: a full disk,
                a mistake in a config, a damaged checkpoint, a defect. That
                says nothing about the method, and the run is made again next
                time.
        """
        os.makedirs(folder, exist_ok=True)
        options = {**run.options, **files}
        # Held by the process too: one that outlived a killed study is waited
        # for, and not given a rival in its work dir.
        with (
            open(osp.join(folder, 'lock'), 'w') as lock,
            damage_told(run, folder),
        ):
            self._wait_for(lock, run)
            if run.purpose == DIFFUSION:
                return self._pretrain(run, folder, options, lock)
            result = self._train(run, folder, options, metric, lock)
            if run.tests and not not_finite(result['val']):
                result['test'] = self._test(run, folder, options, metric, lock)
        return result

    def _train(
        self, run: Run, folder: str, options: dict, metric: str, lock: IO
    ) -> dict[str, Any]:
        note = read_note(folder, metric)
        if note is not None:
            self._check(run, folder, note, metric)
            needed = run.tests or run.purpose == TEACHER
            whole = not needed or latest_checkpoint(folder)
            # Its row was taken out, since it is to be made again.
            failed = not_finite(note['val']) and note.get('metric') == metric
            if whole and not failed:
                return note
            _empty(folder)  # or it came from another machine without weights
        resumed = bool(scalars(folder))
        command = [*self.train, run.config, '--work-dir', folder]
        command += ['--seed', str(run.seed), '--resume']
        usage = self._run(command, options, folder, 'train', lock)
        if resumed and not validated(folder):
            # It had been killed between the last checkpoint and the
            # validation: nothing is left to resume, nor anything to read.
            _empty(folder)
            return self._train(run, folder, options, metric, lock)
        result = dict(training_log(folder, metric), metric=metric)
        result = _noted(folder, result, usage, resumed)
        self._check(run, folder, result, metric)
        return result

    def _check(self, run: Run, folder: str, result: dict, metric: str) -> None:
        if result['val'] is None:
            told = without(metric, validated(folder))
            raise NoResult(f'{run}: its validation {told}')

    def _pretrain(
        self, run: Run, folder: str, options: dict, lock: IO
    ) -> dict[str, Any]:
        note = read_note(folder, None)
        out = osp.join(folder, DIFFUSION_FILE)
        if note and osp.isfile(out):
            return note
        if osp.isfile(out):
            # Its process outlived a study that was killed.
            return self._pretrained(folder, Usage(0.0, 0.0), True)
        if note:
            # Nothing is left to go on with that would write the file.
            _empty(folder)
        resumed = bool(scalars(folder))
        command = [*self.pretrain, run.config, '--work-dir', folder]
        command += ['--seed', str(run.seed), '--resume']
        if run.iters is not None:
            command += ['--iters', str(run.iters)]
        usage = self._run(command, options, folder, 'train', lock)
        return self._pretrained(folder, usage, resumed)

    def _pretrained(
        self, folder: str, usage: Usage, resumed: bool
    ) -> dict[str, Any]:
        result = training_log(folder, 'loss')
        meta = read_checkpoint(osp.join(folder, DIFFUSION_FILE))['meta']
        result['val'] = round(mean(meta['loss_diff'].values()), 4)
        # A short training has no line of its log.
        result['iterations'] = meta['iterations']
        return _noted(folder, result, usage, resumed)

    def _test(
        self, run: Run, folder: str, options: dict, metric: str, lock: IO
    ) -> float:
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            raise RuntimeError(f'{run}: no checkpoint in {folder}')
        out = osp.join(folder, 'test')
        command = [*self.test, run.config, checkpoint, '--work-dir', out]
        self._run(command, options, folder, 'test', lock)
        names: set[str] = set()
        for path in sorted(Path(out).glob('*/*.json'), reverse=True):
            values = json.loads(path.read_text())
            names |= {name for name in values if is_number(values[name])}
            if is_number(values.get(metric)):
                return values[metric]
        raise NoResult(f'{run}: its test {without(metric, names)}')

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ, OMP_NUM_THREADS=str(self.threads))
        root = Path(mmdiffkd.__file__).resolve().parents[1]
        if (root / 'setup.py').is_file():
            # A checkout, which a process in another folder would not find.
            paths = [str(root), *filter(None, [env.get('PYTHONPATH')])]
            env['PYTHONPATH'] = os.pathsep.join(paths)
        return env

    def _run(
        self,
        command: list[str],
        options: Mapping,
        folder: str,
        name: str,
        lock,
    ) -> Usage:
        """One process to its end, its output in ``NAME.log``."""
        if options:
            command = [
                *command,
                '--cfg-options',
                *map(_option, options.items()),
            ]
        start = time.monotonic()
        with open(osp.join(folder, f'{name}.log'), 'a') as log:
            print('$', shlex.join(command), file=log, flush=True)
            with self._lock:
                if self._stopping.is_set():
                    raise Interrupted(name)
                process = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    # Ctrl-C is for the study, which passes it on once.
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                    env=self._environment(),
                )
                self._running.add(process)
            try:
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._stopping.is_set() and process.returncode != 0:
            raise Interrupted(name)
        if process.returncode != 0:
            told = _last_error(folder, name)
            if process.returncode == MISTAKE and DIVERGED in told:
                raise FailedRun(told)
            raise RuntimeError(
                f'exit code {process.returncode} of: {shlex.join(command)}; '
                f'see {osp.join(folder, name)}.log: {told}'
            )
        return Usage(time.monotonic() - start, used.ru_utime + used.ru_stime)

    def _wait_for(self, lock: IO, run: Run) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not told:
                    self.tell(
                        f'{run}: waiting for its process of an earlier start, '
                        f'which still works in {osp.dirname(lock.name)}'
                    )
                told = True
                self._stopping.wait(1)
        raise Interrupted(lock.name)


@contextmanager
def damage_told(run: Run, folder: str) -> Iterator[None]:
    """A file of a work dir that cannot be read is the matter of one run."""
    try:
        yield
    except UserError as error:
        raise RuntimeError(
            f'{run}: {error}; delete {folder} to make it again'
        ) from error


def _noted(
    folder: str, result: dict[str, Any], usage: Usage, resumed: bool
) -> dict[str, Any]:
    """The result of a training that is over, and a file that says so."""
    result = dict(
        result,
        seconds=round(usage.wall, 1),
        cpu_seconds=round(usage.cpu, 1),
        resumed=resumed,
    )
    write_note(folder, result)
    return result


def trained(
    run: Run, folder: str, metric: str
) -> tuple[dict[str, Any], str] | None:
    """Note and weights of a training that is over.

    Args:
        run (Run): Of a teacher or of diffusion models.
        folder (str): Its work dir.
        metric (str): Name of its result.

    Returns:
        Tuple[Dict[str, Any], str] | None: None if one of them is missing.

    Raises:
        RuntimeError: If one of them cannot be read.
    """
    path: str | None
    with damage_told(run, folder):
        # The loss of diffusion models is in no log.
        note = read_note(folder, None if run.purpose == DIFFUSION else metric)
        if note is None:
            return None
        if run.purpose == DIFFUSION:
            path = osp.join(folder, DIFFUSION_FILE)
            path = path if osp.isfile(path) else None
        else:
            path = latest_checkpoint(folder)
    return (note, path) if path else None


def _empty(folder: str) -> None:
    """All but the lock."""
    for path in Path(folder).iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != 'lock':
            path.unlink()


def _option(item: tuple[str, Any]) -> str:
    key, value = item
    return f'{key}={value}'.replace(', ', ',')


def _last_error(folder: str, name: str) -> str:
    text = read_log(Path(folder, f'{name}.log'))
    lines = text.rsplit('\n$ ', 1)[-1].splitlines()  # of the last start
    told = [line for line in lines if 'error: ' in line]
    return (told or lines or ['no output'])[-1][:500]


def hold(work_dir: str) -> Any:
    """Keep other studies out of a work dir, as long as the result lives.

    Raises:
        UserError: If another process works there.
    """
    os.makedirs(work_dir, exist_ok=True)
    lock = open(osp.join(work_dir, 'lock'), 'w')  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(
            f'another process works on the study in {work_dir!r}; wait for '
            'it, or choose another --work-dir'
        ) from None
    return lock
