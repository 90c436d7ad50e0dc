# Copyright (c) mmdiffkd contributors.
"""One training of a study, and what tells it from all others."""

import functools
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from .definition import DataSet

TEACHER = 'teacher'
DIFFUSION = 'diffusion'
_READING = threading.Lock()


@dataclass(frozen=True)
class Run:
    """What is trained, and for what purpose.

    Args:
        data_set (str): Name of the data set.
        method (str): Name of the method, ``'teacher'`` or ``'diffusion'``.
        purpose (str): ``'teacher'``, ``'diffusion'``, ``'tune'``,
            ``'test'`` at equal iterations, or ``'time'``, the test at equal
            time, or ``'explore'``. Only ``'test'`` and ``'time'`` see the test
            images.
        config (str): Config file.
        seed (int): Random seed.
        options (Mapping): Values of config keys. Files that other runs of
            the study make are not among them.
        teacher (str, optional): Key of the teacher's run. Defaults to None.
        diffusion (str, optional): Key of the run that trained its diffusion
            models. Defaults to None.
        diffusion_ckpt (Sequence[str]): Config keys that take their file.
            Defaults to none.
        iters (int, optional): Of a training of diffusion models. Defaults to
            None: the command's own number.
        factor (float, optional): Of the length, at equal time; it is among
            the options already. Defaults to None.
    """

    data_set: str
    method: str
    purpose: str
    config: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    diffusion: str | None = None
    diffusion_ckpt: Sequence[str] = ()
    iters: int | None = None
    factor: float | None = None

    @property
    def key(self) -> str:
        """Digest of what decides the result.

        The config as it is read, so that a changed base makes another run,
        with the environment variables unread, so that another folder for the
        data does not.
        """
        definition = dict(
            config=_content(self.config),
            options={k: self.options[k] for k in sorted(self.options)},
            seed=self.seed,
            teacher=self.teacher,
            tests=self.tests,
        )
        # Absent where there are none: results from before they were known
        # keep their keys.
        if self.diffusion is not None:
            definition['diffusion'] = self.diffusion
            definition['diffusion_ckpt'] = sorted(self.diffusion_ckpt)
        if self.purpose == DIFFUSION:
            definition['iters'] = self.iters
        text = json.dumps(definition, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def tests(self) -> bool:
        """Whether the test images are looked at."""
        return self.purpose in ('test', 'time')

    @property
    def folder(self) -> str:
        """Name of its work dir below the study's."""
        return f'{self.data_set}/{self.method}-{self.seed}-{self.key[:8]}'

    def __str__(self) -> str:
        return f'{self.data_set} {self.method}, {self.purpose}, {self.seed}'


def distils(config: str) -> bool:
    """Whether a config has a teacher."""
    return 'teacher' in (json.loads(_content(config)).get('model') or {})


def _content(path: str) -> str:
    # MMEngine looks for the packages of bases by a module that it loads anew
    # each time: in two threads at once, one finds half of it.
    with _READING:
        return _read_content(path)


@functools.cache
def _read_content(path: str) -> str:
    cfg = Config.fromfile(path, use_environment_variables=False)
    return json.dumps(cfg.to_dict(), sort_keys=True, default=str)


def scaled(data_set: DataSet, factor: float) -> dict[str, Any]:
    """The options that make a run longer or shorter.

    Args:
        data_set (DataSet): Whose ``length`` is scaled.
        factor (float): By how much; each number is rounded, to at least 1.

    Returns:
        Dict[str, Any]: Value by config key; none where the factor is 1.
    """

    def scale(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [scale(v) for v in value]
        return max(round(value * factor), 1)

    if factor == 1:
        return {}
    return {key: scale(value) for key, value in data_set.length.items()}
