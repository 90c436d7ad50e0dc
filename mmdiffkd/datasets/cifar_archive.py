# Copyright (c) mmdiffkd contributors.
"""Unpack CIFAR-10 as JPEG files in NumPy archives into an image folder."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np

from mmdiffkd.utils import UserError

SPLITS = ('train', 'test')
KEYS = ('blob', 'offsets', 'labels', 'classes')


def unpack_cifar(
    source: str, out: str, overwrite: bool = False
) -> dict[str, int]:
    """Write ``OUT/SPLIT/CLASS/NUMBER.jpg`` and the list ``OUT/SPLIT.txt``.

    MMPretrain's own ``CustomDataset`` reads the result. The JPEG files are
    written as they are in the archive, not encoded again. A list takes one
    image of each class in turn, so its beginning is a balanced subset.

    Args:
        source (str): Folder with ``cifar10_train_jpeg.npz`` and
            ``cifar10_test_jpeg.npz``, whose image i is the bytes
            ``offsets[i]`` to ``offsets[i + 1]`` of ``blob``, of class
            ``classes[labels[i]]``.
        out (str): Folder to make. It appears whole or not at all.
        overwrite (bool): Whether to replace it. Defaults to False.

    Returns:
        Dict[str, int]: Number of images of each split.

    Raises:
        UserError: If an archive is absent or damaged, or ``out`` exists.
    """
    root = Path(out)
    if root.exists() and not overwrite:
        raise UserError(
            f'{out!r} exists; replace it with --overwrite, or '
            'choose another folder'
        )
    archives = {
        split: _read(Path(source) / f'cifar10_{split}_jpeg.npz')
        for split in SPLITS
    }
    root.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=root.absolute().parent, prefix='.cifar-'
    ) as temp:
        fresh = Path(temp) / 'new'
        for split, archive in archives.items():
            _write_split(fresh, split, archive)
        if root.exists():
            root.rename(Path(temp) / 'old')
        fresh.rename(root)
    return {split: len(a['labels']) for split, a in archives.items()}


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"archive '{path}' does not exist")
    try:
        with path.open('rb') as file, np.load(file) as content:
            missing = [key for key in KEYS if key not in content]
            if missing:
                raise UserError(
                    f"archive '{path}' lacks {missing}; it holds "
                    f'{sorted(content)}'
                )
            archive = {key: content[key] for key in KEYS}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"'{path}' is not a NumPy archive, or it is damaged ({error})"
        ) from error
    offsets, labels = archive['offsets'], archive['labels']
    if (
        len(offsets) != len(labels) + 1
        or offsets[-1] != archive['blob'].size
        or labels.max() >= len(archive['classes'])
    ):
        raise UserError(
            f"archive '{path}': blob, offsets, labels and classes "
            'do not fit together'
        )
    return archive


def _write_split(
    root: Path, split: str, archive: dict[str, np.ndarray]
) -> None:
    blob, offsets = archive['blob'].tobytes(), archive['offsets']
    labels, classes = archive['labels'], archive['classes']
    for name in classes:
        (root / split / str(name)).mkdir(parents=True)
    lines: list[str] = []
    for i in _in_turn(labels):
        name = f'{classes[labels[i]]}/{i:05d}.jpg'
        (root / split / name).write_bytes(blob[offsets[i] : offsets[i + 1]])
        lines.append(f'{name} {labels[i]}\n')
    (root / f'{split}.txt').write_text(''.join(lines))


def _in_turn(labels: np.ndarray) -> np.ndarray:
    """Order images so that the classes take turns, as long as they last."""
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.lexsort((labels, turn))
