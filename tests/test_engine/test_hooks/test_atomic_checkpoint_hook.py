# Copyright (c) mmdiffkd contributors.
"""No moment without a whole checkpoint."""

import os

import mmengine.runner.runner
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import METRICS, MODELS
from mmengine.runner import Runner

from mmdiffkd.engine.hooks import atomic_checkpoint_hook as module
from mmdiffkd.engine.latest_checkpoint import damage

SCORES = [1, 3, 2, 4]


@MODELS.register_module(force=True)
class OneWeight(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, mode='tensor'):
        if mode == 'loss':
            return dict(loss=self.weight**2 * torch.stack(inputs).mean())
        return [inputs]


@METRICS.register_module(force=True)
class NextScore(BaseMetric):
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(acc=SCORES[int(_runner().epoch) - 1])


CURRENT = []


def _runner():
    return CURRENT[-1]


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    # Formatting the config and asking compilers take most of the time.
    monkeypatch.setattr(Config, 'pretty_text', '')
    monkeypatch.setattr(mmengine.runner.runner, 'collect_env', dict)


def train(work_dir, epochs=4, hook=None, **kwargs):
    data = dict(
        batch_size=2,
        num_workers=0,
        dataset=[dict(inputs=torch.ones(1))] * 4,
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    runner = Runner(
        model=dict(type='OneWeight'),
        work_dir=str(work_dir),
        train_dataloader=data,
        val_dataloader=dict(data),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        val_cfg=dict(),
        val_evaluator=dict(type='NextScore'),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                dict(
                    type='mmdiffkd.AtomicCheckpointHook',
                    interval=1,
                    max_keep_ckpts=1,
                    save_best='toy/acc',
                    rule='greater',
                ),
                **hook or {},
            )
        ),
        custom_hooks=[dict(type='mmdiffkd.LoopStateHook')],
        log_level='ERROR',
        experiment_name=str(work_dir),
        randomness=dict(seed=0),
        **kwargs,
    )
    CURRENT.append(runner)
    runner.train()
    return runner


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth*'))


def test_files_of_a_whole_run(tmp_path):
    train(tmp_path)
    assert names(tmp_path) == ['best_toy_acc_epoch_4.pth', 'epoch_4.pth']
    note = (tmp_path / 'last_checkpoint').read_text()
    assert note == str(tmp_path / 'epoch_4.pth')


class Killed(BaseException):
    pass


def test_whatever_step_is_the_last_one_can_go_on(tmp_path, monkeypatch):
    """Stop before each of all file operations in turn, then resume."""
    whole = train(tmp_path / 'whole').model.weight.item()
    step, stop_at = 0, None

    def counted(function):

        def wrapper(*args, **kwargs):
            nonlocal step
            step += 1
            if step == stop_at:
                raise Killed
            return function(*args, **kwargs)

        return wrapper

    for owner, name in (
        (os, 'replace'),
        (module, '_remove'),
        (module, 'write_text_durably'),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    train(tmp_path / 'count')
    steps = step
    assert steps > 20
    for stop in range(2, steps, 4):
        folder = tmp_path / str(stop)
        step, stop_at = 0, stop
        with pytest.raises(Killed):
            train(folder)
        stop_at = None
        for path in folder.glob('*.pth'):
            assert damage(str(path)) is None
        resumed = train(folder, resume=True)
        assert resumed.model.weight.item() == whole, stop
        assert names(folder)[-1] == 'epoch_4.pth'
        assert 'best_toy_acc_epoch_4.pth' in names(folder)
        assert not list(folder.glob('*.writing'))


def test_resuming_without_a_name_skips_a_truncated_file(tmp_path):
    keep = dict(max_keep_ckpts=2)
    train(tmp_path, epochs=2, hook=keep)
    last = tmp_path / 'epoch_2.pth'
    last.write_bytes(last.read_bytes()[:1000])
    assert train(tmp_path, epochs=3, hook=keep, resume=True).iter == 6
    assert damage(str(last)) is None  # written anew


def test_resuming_a_run_that_wrote_nothing_begins_it(tmp_path):
    assert train(tmp_path, epochs=1, resume=True).iter == 2


def test_a_new_run_forgets_the_note_of_the_old(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/old/epoch_9.pth')
    train(
        tmp_path,
        epochs=1,
        hook=dict(interval=-1, save_last=False, save_best=None),
    )
    assert not (tmp_path / 'last_checkpoint').exists()


def test_a_checkpoint_knows_its_validation(tmp_path):
    """Epoch 3 is not the best, so MMEngine would not save it again."""
    train(tmp_path, epochs=3)
    hub = torch.load(tmp_path / 'epoch_3.pth', weights_only=True)[
        'message_hub'
    ]
    scores, _ = hub['log_scalars']['val/toy/acc'].data
    assert scores.tolist() == [1, 3, 2]


def test_between_checkpoints(tmp_path):
    runner = train(tmp_path, epochs=1)
    (hook,) = (
        h for h in runner.hooks if isinstance(h, module.AtomicCheckpointHook)
    )
    hook.save_between(runner, 1, 5)
    assert 'iter_5.pth' in names(tmp_path)
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_5.pth')
    hook._save_checkpoint_with_step(runner, 2, dict(epoch=2, iter=6))
    assert 'iter_5.pth' not in names(tmp_path)
    assert 'epoch_2.pth' in names(tmp_path)
