# Copyright (c) mmdiffkd contributors.
"""What a config says of its schedule is not read on resuming, and told."""

from helpers.small_runs import run

HOOKS = dict(checkpoint=dict(type='mmdiffkd.AtomicCheckpointHook', interval=1))


def schedules(**changes):
    """A warm-up, then steps."""
    steps = dict(type='MultiStepLR', milestones=[1, 3], by_epoch=True)
    return [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2),
        {**steps, **changes},
    ]


def resumed(folder, **options):
    """The warnings of a run that goes on from the first epoch."""
    folder.mkdir()
    common = dict(
        task='det',
        default_hooks=HOOKS,
        log_level='WARNING',
        param_scheduler=schedules(),
    )
    run(folder, **common)
    path = str(folder / 'epoch_1.pth')
    run(folder, resume=True, load_from=path, **{**common, **options})
    logs = ''.join(log.read_text() for log in folder.glob('*/*.log'))
    return [line for line in logs.splitlines() if 'schedule of' in line]


def test_the_same_schedule_is_nothing_to_tell(tmp_path):
    assert resumed(tmp_path / 'same') == []


def test_what_has_changed_is_told(tmp_path):
    (line,) = resumed(
        tmp_path / 'steps', param_scheduler=schedules(milestones=[1, 5])
    )
    assert 'MultiStepLR.milestones is [1, 3], not [1, 5]. To' in line
    optimizer = dict(type='SGD', lr=0.5)
    (line,) = resumed(
        tmp_path / 'lr',
        optim_wrapper=dict(type='OptimWrapper', optimizer=optimizer),
    )
    assert 'MultiStepLR.base_values is 0.01, not 0.5' in line
    (line,) = resumed(tmp_path / 'one', param_scheduler=schedules()[:1])
    assert 'there are 2 schedules, not 1' in line
    (line,) = resumed(tmp_path / 'longer', epochs=3)
    assert 'MultiStepLR.end is 2, not 3' in line
    assert (tmp_path / 'longer/epoch_3.pth').exists(), 'it goes on'
