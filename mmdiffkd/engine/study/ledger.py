# Copyright (c) mmdiffkd contributors.
"""The results of a study: a file of JSON lines, one a finished run."""

import errno
import json
import os
import threading
from collections.abc import Iterator
from math import isfinite
from typing import Any

NAMES = ('data_set', 'method', 'purpose', 'metric')
"""Runs of one key may have rows of their own by these."""


class Ledger:
    """Results by the key of their run, and by what it is called.

    A line is appended in one write and is on the disk before it counts. A
    line that a power cut left incomplete is passed over, and its run is made
    again. A result that is not finite is none, and its run has failed.

    Args:
        path (str): The file; it need not exist.
        with_failed (bool): Whether runs that failed count as finished.
            Defaults to True.
    """

    def __init__(self, path: str, with_failed: bool = True) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._rows: dict[tuple, dict[str, Any]] = {}
        self._of_key: dict[str, dict[tuple, dict[str, Any]]] = {}
        for row in map(finite, _read(path)):
            if with_failed or 'error' not in row:
                self._add(row)

    def get(self, key: str, **names: Any) -> dict[str, Any] | None:
        """The result of a run, if it is finished; the last of several."""
        rows = list(self._of_key.get(key, {}).values())
        found = [row for row in rows if _has(row, names)]
        return found[-1] if found else None

    def rows(self, **values: Any) -> Iterator[dict[str, Any]]:
        """Results in which these names have these values."""
        for row in list(self._rows.values()):
            if _has(row, values):
                yield row

    def _add(self, row: dict[str, Any]) -> None:
        called = tuple(row.get(name) for name in NAMES)
        self._rows[row['key'], called] = row
        self._of_key.setdefault(row['key'], {})[called] = row

    def append(self, row: dict[str, Any]) -> None:
        """Add a finished run; ``row`` has its ``key``."""
        line = json.dumps(row, sort_keys=True).encode() + b'\n'
        with self._lock:
            os.makedirs(os.path.dirname(self.path) or '.', exist_ok=True)
            handle = os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644
            )
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b'\n':
                    line = b'\n' + line  # the last line was cut
                _write_all(handle, line, size)
                os.fsync(handle)
            finally:
                os.close(handle)
            self._add(row)


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """The row, as that of a run that failed where a result is not finite."""
    for name in ('val', 'test'):
        value = row.get(name)
        if isinstance(value, float) and not isfinite(value):
            told = f'{row.get("metric", name)} is {value}'
            row = {**row, name: None, 'error': told}
    return row


def _has(row: dict[str, Any], values: dict[str, Any]) -> bool:
    return all(row.get(name) == value for name, value in values.items())


def _write_all(handle: int, line: bytes, size: int) -> None:
    """Append a line, or nothing: a full disk takes a part of it first."""
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(handle, size)
        raise


def _read(path: str) -> Iterator[dict[str, Any]]:
    if not os.path.exists(path):
        return
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and 'key' in row:
                yield row
