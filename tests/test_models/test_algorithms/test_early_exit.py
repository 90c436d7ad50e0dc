# Copyright (c) mmdiffkd contributors.
"""The teacher runs up to the last record that is read, and no further."""

import pytest
import torch
from mmrazor.models.distillers import ConfigurableDistiller
from torch import nn

from mmdiffkd.models.algorithms.early_exit import EarlyExit


class Teacher(nn.Module):
    """Three parts; counts the calls of each. The last runs for losses only."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.shared = (
            nn.Linear(2, 2) for _ in range(3)
        )
        self.auxiliary = nn.Linear(2, 2)
        self.modes = []

    def forward(self, x, mode):
        self.modes.append(mode)
        x = self.second(self.first(x))
        for _ in range(3):
            self.shared(x)
        if mode == 'loss':
            self.auxiliary(x)


def exit_behind(*records, **options):
    """An early exit for ``(source, record_idx)``, and what ran."""
    sources = dict.fromkeys(source for source, _ in records)
    distiller = ConfigurableDistiller(
        teacher_recorders={
            name: dict(type='ModuleOutputs', source=name) for name in sources
        },
        student_recorders=dict(s=dict(type='ModuleOutputs', source='first')),
        distill_losses={
            f'loss_{i}': dict(type='mmrazor.L2Loss')
            for i in range(len(records))
        },
        loss_forward_mappings={
            f'loss_{i}': dict(
                s_feature=dict(from_student=True, recorder='s'),
                t_feature=dict(
                    from_student=False, recorder=source, record_idx=index
                ),
            )
            for i, (source, index) in enumerate(records)
        },
        **options,
    )
    teacher = Teacher()
    distiller.prepare_from_teacher(teacher)
    early, calls = EarlyExit(teacher, distiller, skip=False), {}
    for name, module in teacher.named_children():
        # In front of the module: what is left has not been run.
        module.register_forward_pre_hook(
            lambda *_, n=name: calls.update({n: calls.get(n, 0) + 1})
        )
    return early, teacher, distiller, calls


def run(early, teacher, distiller):
    with torch.no_grad(), distiller.teacher_recorders:
        early.run(teacher, torch.ones(1, 2))


@pytest.mark.parametrize(
    'records, expected',
    [
        ([('first', 0)], dict(first=1)),
        ([('first', 0), ('second', 0)], dict(first=1, second=1)),
        ([('shared', 0)], dict(first=1, second=1, shared=1)),
        (
            [('shared', 1), ('shared', 0), ('first', 0)],
            dict(first=1, second=1, shared=2),
        ),
        # The last call is known at the end alone.
        ([('shared', -1)], dict(first=1, second=1, shared=3)),
    ],
)
def test_nothing_runs_behind_the_last_record(records, expected):
    early, *rest, calls = exit_behind(*records)
    run(early, *rest)
    assert calls == expected


def test_a_part_for_losses_only_is_reached_from_the_first_pass_on():
    early, teacher, distiller, calls = exit_behind(('auxiliary', 0))
    run(early, teacher, distiller)
    assert teacher.modes == ['tensor', 'loss'] and calls['auxiliary'] == 1
    run(early, teacher, distiller)
    assert teacher.modes == ['tensor', 'loss', 'loss']  # no second try


def test_outside_of_its_own_run_the_teacher_is_whole():
    early, teacher, distiller, calls = exit_behind(('first', 0))
    run(early, teacher, distiller)
    calls.clear()
    with distiller.teacher_recorders:
        teacher(torch.ones(1, 2), mode='tensor')
    assert calls == dict(first=1, second=1, shared=3)


def test_a_defect_of_the_teacher_leaves_it_whole_too():
    early, teacher, distiller, calls = exit_behind(('second', 0))
    handle = teacher.second.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(early, teacher, distiller)
    handle.remove()
    calls.clear()
    with distiller.teacher_recorders:
        teacher(torch.ones(1, 2), mode='tensor')
    assert calls['shared'] == 3
