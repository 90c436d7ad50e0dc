# Copyright (c) mmdiffkd contributors.
"""Make an embedded demo set: once, whole or not at all."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmdiffkd.utils import UserError

from .cityscapes import write_cityscapes_split
from .coco import write_coco_split
from .digits import DigitPool, load_digit_pools
from .image_folder import write_image_folder_split
from .scene import Scene, SceneComposer, SceneStyle

# One writer for each task; all of them are given scenes.
WRITERS = dict(
    det=write_coco_split,
    seg=write_cityscapes_split,
    cls=write_image_folder_split,
)

# Look of a task's scenes unless the caller says otherwise. Small, calm scenes
# with much ink in them: a segmentor that starts from scratch takes several
# hundred iterations on them before it tells one digit from another.
STYLES = dict(
    det=SceneStyle(),
    seg=SceneStyle(
        height=64,
        width=64,
        digits=(2, 4),
        sizes=(28, 40),
        rotation=10,
        contrast=70,
        clutter=(0, 2),
        noise=8,
    ),
    cls=SceneStyle(),
)

# How many scenes a split has unless the caller says otherwise.
SCENES = dict(train=1200, val=100, test=200)

MANIFEST = 'demo_set.json'

# Raise it when the same parameters begin to give other files.
FORMAT = 1


def make_demo_set(
    out: str,
    task: str = 'det',
    scenes: dict[str, int] = SCENES,
    seed: int = 0,
    style: SceneStyle | None = None,
    overwrite: bool = False,
) -> tuple[Path, bool]:
    """Make the demo set of a task in the folder ``OUT/TASK``.

    The set is written beside its place and renamed, so an interrupted run
    leaves nothing that looks like a set. Equal arguments give equal bytes.

    Args:
        out (str): Folder that holds the demo sets.
        task (str): What the set is for, a key of ``WRITERS``.
            Defaults to 'det'.
        scenes (Dict[str, int]): Number of scenes of each split.
            Defaults to SCENES.
        seed (int): Seed of scenes and splits. Defaults to 0.
        style (SceneStyle, optional): Look of the scenes. Defaults to None:
            that of the task in STYLES.
        overwrite (bool): Whether an earlier set that differs or is damaged
            is replaced. Defaults to False.

    Returns:
        Tuple[Path, bool]: Folder of the set, and whether it was made now
        (False: a whole set of the same parameters was there).

    Raises:
        UserError: If something else is at that place.
    """
    root = Path(out) / task
    style = style or STYLES[task]
    parameters = dict(
        format=FORMAT,
        task=task,
        scenes=dict(scenes),
        seed=seed,
        style=style.to_dict(),
    )
    if _is_reusable(root, parameters, overwrite):
        return root, False
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=root.parent, prefix=f'.{task}-'
    ) as temp:
        fresh = Path(temp) / 'new'
        fresh.mkdir()
        _write_set(fresh, parameters, style)
        if root.exists():
            root.rename(Path(temp) / 'old')
        fresh.rename(root)
    return root, True


def read_manifest(root: Path) -> dict:
    """Return the parameters, sizes and digest that a set was made with."""
    return json.loads((Path(root) / MANIFEST).read_text())


def _write_set(root: Path, parameters: dict, style: SceneStyle) -> None:
    """Write every split, then the manifest that makes the set whole."""
    pools = load_digit_pools(parameters['seed'])
    sizes = {}
    for number, (split, count) in enumerate(parameters['scenes'].items()):
        scenes = _draw_scenes(
            pools[split], style, count, (parameters['seed'], number)
        )
        sizes[split] = WRITERS[parameters['task']](root, split, scenes)
    manifest = dict(parameters, sizes=sizes, digest=_digest(root))
    (root / MANIFEST).write_text(json.dumps(manifest, indent=2) + '\n')


def _draw_scenes(
    pool: DigitPool, style: SceneStyle, count: int, seed: tuple[int, int]
) -> Iterator[Scene]:
    """Draw the scenes of a split, each from a generator of its own.

    A longer set begins with the scenes of a shorter one.
    """
    composer = SceneComposer(pool, style)
    for index in range(count):
        yield composer.compose(np.random.default_rng([*seed, index]))


def _is_reusable(root: Path, parameters: dict, overwrite: bool) -> bool:
    """Tell whether the wanted set is at ``root`` already.

    False means that the place is free, or may be taken.
    """
    if not root.exists():
        return False
    if not (root / MANIFEST).is_file():
        # Never ours to remove: not even when asked to overwrite.
        raise UserError(
            f'{root} exists and is no demo set (it has no '
            f'{MANIFEST}). Choose another --out folder.'
        )
    try:
        found = read_manifest(root)
        different = sorted(
            key for key, value in parameters.items() if found[key] != value
        )
        whole = found['digest'] == _digest(root)
    except (ValueError, KeyError, TypeError):
        different, whole = [], False
    if whole and not different:
        return True
    if overwrite:
        return False
    if whole:
        reason = 'was made with other ' + ', '.join(
            f'{key} ({found[key]}, not {parameters[key]})' for key in different
        )
    else:
        reason = 'is damaged: files are missing or were changed'
    raise UserError(
        f'The demo set in {root} {reason}. Choose another --out '
        'folder, or replace it with --overwrite.'
    )


def _digest(root: Path) -> str:
    """Return the SHA-256 of all files of a set, names and contents."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob('*')):
        if path.is_file() and path.name != MANIFEST:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            name = path.relative_to(root).as_posix()
            digest.update(f'{name} {content}\n'.encode())
    return digest.hexdigest()
