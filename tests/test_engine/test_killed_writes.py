# Copyright (c) mmdiffkd contributors.
"""A run killed while it writes a checkpoint keeps the one before."""

import random
from pathlib import Path

import pytest
from helpers.run_results import assert_same, final

from mmdiffkd.engine.latest_checkpoint import damage, latest_checkpoint

pytestmark = pytest.mark.slow


def test_killed_in_the_middle_of_a_write(forked, uninterrupted, tmp_path):
    """With ``max_keep_ckpts=1``: MMEngine removes the old one first."""
    work_dir = tmp_path / 'run'
    spec = dict(
        work_dir=work_dir,
        slow_writer=True,
        options={'default_hooks.checkpoint.max_keep_ckpts': 1},
    )
    rng = random.Random(0)
    progress = []
    # The first write, then any of the next ones of each resumed run.
    for count in (3, rng.randint(60, 100), rng.randint(20, 60)):
        killed = forked(spec, kill_at=count, kind='W')
        assert killed.codes == [-9], killed.log[-3000:]
        assert list(work_dir.glob('*.writing')), 'not killed while writing'
        for path in work_dir.glob('*.pth'):
            assert damage(path) is None
        latest = latest_checkpoint(str(work_dir))
        progress.append(latest and Path(latest).name)
        spec['resume'] = True
    assert progress[0] is None and progress[-1] is not None
    forked(dict(spec, slow_writer=False))
    assert_same(final(work_dir), final(uninterrupted()[0]))
    assert not list(work_dir.glob('*.writing'))
    kept = [path.name for path in work_dir.glob('epoch_*.pth')]
    assert kept == ['epoch_3.pth']
