# Copyright (c) mmdiffkd contributors.
"""The hooks in runs of two processes."""

import os

import pytest
import torch
from helpers.processes import run_two
from helpers.small_runs import config
from mmengine.runner import Runner

WRAPPER = dict(
    type='MMDistributedDataParallel',
    broadcast_buffers=False,
    find_unused_parameters=False,
    device_ids=None,
)
ADAM = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))


def _run(folder, **kwargs):
    runner = Runner.from_cfg(
        config(folder, launcher='pytorch', model_wrapper_cfg=WRAPPER, **kwargs)
    )
    runner.train()
    state = runner.model.module.state_dict()
    scalars = runner.message_hub.log_scalars
    return dict(
        total=sum(
            float(p.detach().double().sum()) for p in runner.model.parameters()
        ),
        finite=all(bool(torch.isfinite(v).all()) for v in state.values()),
        distilled=len(scalars['train/distill.loss_kd_p3'].data[0]),
        steps=sorted(
            {
                int(s['step'])
                for s in runner.optim_wrapper.optimizer.state.values()
                if 'step' in s
            }
        ),
    )


def _work(rank, folder):
    os.environ.update(LOCAL_RANK=str(rank), RANK=str(rank), WORLD_SIZE='2')
    stop = dict(type='mmdiffkd.StopDistillHook')
    sanity = dict(type='mmdiffkd.SanityHook')
    student = dict(type='mmdiffkd.StudentCheckpointHook')
    draw = dict(type='mmdiffkd.FeatureVisualizationHook', interval=1)
    skip = dict(type='mmdiffkd.FiniteLossHook', on_nonfinite='skip')
    return dict(
        by_iter=_run(
            folder / 'i',
            iters=4,
            hooks=[dict(stop, stop_iter=2), sanity, student, draw],
            log_level='INFO',
        ),
        by_epoch=_run(folder / 'e', hooks=[dict(stop, stop_epoch=1)]),
        skipped=_run(
            folder / 's', broken=(3,), optim_wrapper=ADAM, hooks=[skip]
        ),
    )


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two')
    return folder, run_two(_work, folder, folder)


@pytest.mark.slow
@pytest.mark.parametrize('run', ['by_iter', 'by_epoch', 'skipped'])
def test_ranks_have_the_same_weights(ranks, run):
    first, second = (rank[run]['total'] for rank in ranks[1])
    assert first == second
    assert all(rank[run]['finite'] for rank in ranks[1])


@pytest.mark.slow
def test_distillation_stops_on_both(ranks):
    for rank in ranks[1]:
        assert rank['by_iter']['distilled'] == 2
        # Six images, two processes, two images each: two iterations.
        assert rank['by_epoch']['distilled'] == 2


@pytest.mark.slow
def test_both_skip_what_is_bad_on_one(ranks):
    steps = [rank['skipped']['steps'] for rank in ranks[1]]
    # Two epochs of two iterations, one of which is bad in each.
    assert steps == [[2], [2]]


@pytest.mark.slow
def test_one_process_writes_the_student(ranks):
    folder, _ = ranks
    assert (folder / 'i' / 'student_last.pth').is_file()
    log = ''.join(p.read_text() for p in (folder / 'i').glob('*/*.log'))
    assert 'different on 2 rank(s)' in log


@pytest.mark.slow
def test_one_process_draws_the_features(ranks):
    """Until distillation stops, and the other waits for nothing."""
    folder, _ = ranks
    found = sorted(p.name for p in (folder / 'i').rglob('features_*.png'))
    assert found == ['features_1.png', 'features_2.png']
