# Copyright (c) mmdiffkd contributors.
"""Find the checkpoint that a run is resumed from."""

import logging
import os.path as osp
import zipfile

from mmengine.logging import print_log

from mmdiffkd.utils.errors import UserError

from .checks.settings import earlier_checkpoints

NOTE = 'last_checkpoint'
"""File of MMEngine's in a work dir that names the latest checkpoint."""


def latest_checkpoint(work_dir: str) -> str | None:
    """The latest checkpoint of a run that can be read to its end.

    Args:
        work_dir (str): Work dir of the run.

    Returns:
        str | None: Its path; None if the run has not written any.

    Raises:
        UserError: If there are checkpoints, but none is whole, or no note
            tells which run they are of.
    """
    noted = _noted(work_dir)
    if noted is None:
        names = earlier_checkpoints(work_dir)
        if names:
            raise UserError(
                f'cannot tell which checkpoint of {work_dir!r} is the latest: '
                f'{NOTE!r} is absent or empty. Name it: --resume '
                f'{osp.join(work_dir, names[-1])}'
            )
        return None
    skipped: list[str] = []
    for path in _candidates(work_dir, noted):
        problem = damage(path)
        if problem is None:
            for line in skipped:
                print_log(
                    f'{line}; resuming from {path!r} instead',
                    logger='current',
                    level=logging.WARNING,
                )
            return path
        skipped.append(f'checkpoint {path!r} {problem}')
    if all(line.endswith('does not exist') for line in skipped):
        return None  # killed before the first one had its name
    raise UserError(
        'no checkpoint of this run can be resumed from: ' + '; '.join(skipped)
    )


def _noted(work_dir: str) -> str | None:
    path = osp.join(work_dir, NOTE)
    if not osp.isfile(path):
        return None
    with open(path) as file:
        return file.read().strip() or None


def _candidates(work_dir: str, noted: str) -> list[str]:
    """The noted checkpoint, then all others, the youngest first."""
    # The note holds a full path; the folder may have been moved since.
    moved = osp.join(work_dir, osp.basename(noted))
    paths = [noted if osp.exists(noted) else moved]
    folder = osp.dirname(paths[0])
    paths += [
        osp.join(folder, name)
        for name in earlier_checkpoints(folder)[::-1]
        if not name.startswith('best_')  # these have no optimizer state
    ]
    return list(dict.fromkeys(paths))


def damage(path: str) -> str | None:
    """Say what is wrong with a checkpoint file, reading all of it.

    Args:
        path (str): A file as ``torch.save`` writes it, that is a zip archive
            with a checksum for every tensor; or a folder, which is not
            looked into.

    Returns:
        str | None: The rest of a sentence about it; None if it is whole.
    """
    if osp.isdir(path):
        return None
    if not osp.exists(path):
        return 'does not exist'
    # A zip file ends with its table of contents.
    if not zipfile.is_zipfile(path):
        return f'is truncated or no checkpoint ({osp.getsize(path)} bytes)'
    with zipfile.ZipFile(path) as archive:
        try:
            broken = archive.testzip()
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            return f'is damaged ({error})'
    return f'is damaged (in {broken!r})' if broken else None
