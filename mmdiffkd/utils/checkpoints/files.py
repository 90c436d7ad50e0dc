# Copyright (c) mmdiffkd contributors.
"""Read and write checkpoint files with care."""

import os
import os.path as osp
import pickle
import tempfile
import zipfile

import torch

from ..errors import UserError

NOT_A_DICT = '{!r} is not a checkpoint: it holds a {}, not a dict'


IS_A_FOLDER = '{} {!r} is a folder; name a file in it'


def refuse_folder(path: str, what: str) -> None:
    """Check that a file that is to be read is no folder.

    Args:
        path (str): That was named; it may be absent.
        what (str): Where it was named, for the message.

    Raises:
        UserError: If it is a folder.
    """
    if osp.isdir(path):
        raise UserError(IS_A_FOLDER.format(what, path))


def read_checkpoint(path: str, trust: bool = False) -> dict:
    """Read a checkpoint without running code that it may hold.

    ``import mmdiffkd`` has told PyTorch which harmless objects MMEngine
    writes beside tensors.

    Args:
        path (str): A file on this machine.
        trust (bool): Whether to unpickle arbitrary objects. Only for files
            of known origin. Defaults to False.

    Returns:
        dict: The checkpoint; a bare state dict is returned as it is.

    Raises:
        UserError: If there is no such file, it is damaged, it is no
            checkpoint, or it holds objects that are not safe to load.
    """
    refuse_folder(path, 'checkpoint')
    if not osp.isfile(path):
        raise UserError(f'checkpoint {path!r} does not exist')
    try:
        checkpoint = torch.load(
            path, map_location='cpu', weights_only=False if trust else None
        )
    except Exception as error:  # each format fails in its own way
        raise UserError(unreadable(path, error)) from error
    if not isinstance(checkpoint, dict):
        raise UserError(NOT_A_DICT.format(path, type(checkpoint).__name__))
    return checkpoint


def unreadable(path: str, error: BaseException) -> str:
    """Explain why a checkpoint could not be loaded.

    Args:
        path (str): The file.
        error (BaseException): What ``torch.load`` raised.

    Returns:
        str: The message for the user.
    """
    size = osp.getsize(path) if osp.isfile(path) else 0
    with open(path, 'rb') as file:
        is_archive = file.read(4) == b'PK\x03\x04'
    # A zip file ends with its table of contents.
    if size == 0 or (is_archive and not zipfile.is_zipfile(path)):
        return (
            f'checkpoint {path!r} is truncated ({size} bytes): it was not '
            'written or copied to its end'
        )
    if isinstance(error, pickle.UnpicklingError) and is_archive:
        return (
            f'checkpoint {path!r} holds objects that PyTorch does not '
            f'load safely{_unsafe_names(path)}. If you know where the '
            'file comes from, add --trust-checkpoint to the command, or '
            'set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 for scripts that do '
            'not have it'
        )
    if isinstance(error, pickle.UnpicklingError):
        # Its words advise to load the file without care.
        return f'{path!r} is not a PyTorch checkpoint, or it is damaged'
    first_line = str(error).strip().split('\n')[0]
    return (
        f'{path!r} is not a PyTorch checkpoint, or it is damaged '
        f'({type(error).__name__}: {first_line[:200]})'
    )


def _unsafe_names(path: str) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a damaged file; the names are only a hint
        return ''
    return f' ({", ".join(sorted(names)[:5])})' if names else ''


def write_checkpoint(checkpoint: dict, path: str) -> None:
    """Write a checkpoint so that a reader sees all of it or nothing.

    Args:
        checkpoint (dict): What to write.
        path (str): The file; its folder is made when absent.
    """
    folder = osp.dirname(osp.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix='.tmp')
    try:
        with os.fdopen(handle, 'wb') as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        # `mkstemp` gives a private file; a checkpoint is shared as usual.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    # The new name itself must survive a power cut.
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
