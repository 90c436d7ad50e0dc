# Copyright (c) mmdiffkd contributors.
"""Real runs of MMEngine's Runner, of all three tasks, within seconds."""

import itertools

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset

from helpers import task_toys
from mmdiffkd.registry import DATASETS

COUNT = itertools.count()


@DATASETS.register_module(force=True)
class SmallImages(Dataset):
    """Random images with labels; those in ``broken`` hold an infinity."""

    def __init__(self, task, length=6, broken=()):
        self.task, self.length, self.broken = task, length, broken
        self.metainfo = dict(
            classes=task_toys.CLASSES,
            palette=[[0, 0, 0], [9, 9, 9], [99, 9, 9]],
        )

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        data = task_toys.batch(self.task, n=1, seed=index)
        data['data_samples'][0].set_metainfo(
            dict(img_path=f'photo_{index}.png')
        )
        if index in self.broken:
            data['inputs'][0] = data['inputs'][0].float()
            data['inputs'][0][0, 5, 5] = float('inf')
        return dict(
            inputs=data['inputs'][0], data_samples=data['data_samples'][0]
        )


def config(
    work_dir,
    task='det',
    model=None,
    hooks=(),
    epochs=2,
    iters=None,
    broken=(),
    **kwargs,
):
    """Config of three iterations an epoch, or of ``iters`` iterations."""
    train_cfg = dict(by_epoch=True, max_epochs=epochs)
    if iters is not None:
        train_cfg = dict(by_epoch=False, max_iters=iters)
    cfg = dict(
        default_scope=task_toys.SCOPES[task],
        model=model or task_toys.algorithm(task),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=dict(
                type='mmdiffkd.SmallImages', task=task, broken=broken
            ),
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(
                type='InfiniteSampler' if iters else 'DefaultSampler',
                shuffle=True,
            ),
        ),
        train_cfg=train_cfg,
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.01, momentum=0.9),
            clip_grad=dict(max_norm=10),
        ),
        custom_hooks=list(hooks),
        randomness=dict(seed=3),
        experiment_name=f'small_run_{next(COUNT)}',
        log_level='ERROR',
    )
    cfg.update(kwargs)
    return Config(cfg)


def run(work_dir, **kwargs):
    """Train and return the runner."""
    runner = Runner.from_cfg(config(work_dir, **kwargs))
    runner.train()
    return runner
