# Copyright (c) mmdiffkd contributors.
"""Replace files so that a kill or a power cut leaves the old or the new."""

import os
import os.path as osp

TEMPORARY = '.writing'
"""Ending of a file that is still being written."""


def replace_durably(temporary: str, path: str) -> None:
    """Give a finished file its name, with everything on the disk.

    Args:
        temporary (str): A file (or folder) in the folder of ``path``.
        path (str): Its final name. What is there is replaced in one step.
    """
    if osp.isfile(temporary):
        _sync(temporary)
    os.replace(temporary, path)
    # The new name itself must survive a power cut.
    _sync(osp.dirname(osp.abspath(path)))


def write_text_durably(path: str, text: str) -> None:
    """Write a small text file, whole or not at all.

    Args:
        path (str): The file.
        text (str): Its content.
    """
    temporary = path + TEMPORARY
    with open(temporary, 'w') as file:
        file.write(text)
    replace_durably(temporary, path)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
