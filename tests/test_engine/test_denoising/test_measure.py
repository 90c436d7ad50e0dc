# Copyright (c) mmdiffkd contributors.
"""Features of each task on images without annotations, and their numbers."""

import json
import re
from pathlib import Path
from statistics import fmean

import pytest
import torch
from helpers import dskd_toys, task_toys, two_stage_toys
from mmengine.registry import DefaultScope

from mmdiffkd.engine.denoising.measure import Look, Measured, as_table
from mmdiffkd.engine.denoising.pictures import draw, row_of
from mmdiffkd.utils import UserError


def look_at(task, cfg):
    torch.manual_seed(0)
    model = task_toys.build(task, cfg).eval()

    def read(path):
        batch = task_toys.batch(task, n=1, seed=int(path.stem))
        for sample in batch['data_samples']:
            for name in ('gt_instances', 'gt_sem_seg', 'gt_label'):
                sample.pop(name, None)
        return batch

    return Look(model, read)


def mimic(task):
    cfg = task_toys.algorithm(task)
    (connector, *others) = cfg['distiller']['connectors'].values()
    for one in (connector, *others):
        one['type'] = 'mmdiffkd.MimicConnector'
        one.pop('denoiser', None)
    return cfg


CHAIN = ['student', 't = 400', 't = 300', 't = 200', 't = 100', 't = 0']
CASES = {
    'detector': ('det', task_toys.algorithm('det'), 2, 7),
    'segmentor': ('seg', task_toys.algorithm('seg'), 1, 7),
    'logits': ('cls', task_toys.algorithm('cls'), 1, 7),
    'control': ('det', mimic('det'), 2, 1),
    'latent': ('det', task_toys.algorithm('det', latent_channels=4), 2, 7),
    'guided': ('cls', dskd_toys.algorithm('cls'), 1, 7),
}


@pytest.mark.parametrize('name', CASES)
def test_each_task_is_measured_and_drawn(name):
    task, cfg, pairs, stages = CASES[name]
    look = look_at(task, cfg)
    measured = Measured()
    with DefaultScope.overwrite_default_scope(task_toys.SCOPES[task]):
        seen = [look(Path(f'{i}.png')) for i in (1, 2)]
    assert not look.reasons
    for one in seen:
        measured.add(one)
    summary = json.loads(json.dumps(measured.summary()))
    assert summary['images'] == ['1.png', '2.png']
    assert len(summary['pairs']) == pairs
    assert len(as_table(summary).splitlines()) == 1 + pairs
    for pair in summary['pairs'].values():
        assert len(pair['stages']) == stages
        assert pair['before'] == 'student'
        for stage in pair['stages']:
            for numbers in (v for k, v in stage.items() if k != 'name'):
                assert numbers['mean'] == fmean(numbers['values'])
                assert len(numbers['values']) == 2
    pictures = dict(draw(seen, summary, 'a title'))
    assert list(pictures) == [f'{k}.png' for k in summary['pairs']] + [
        'means.png'
    ]
    for key, pair in summary['pairs'].items():
        panels = pictures[f'{key}.png'].axes
        assert len(panels) == 2 * (1 + stages + 1)  # image, stages, teacher
        under = [axes.get_xlabel().split('\n')[0] for axes in panels]
        drawn = [re.findall(r'-?\d+\.\d+', text) for text in under]
        for i, stage in enumerate(pair['stages']):
            for row in range(2):
                cos, snr = drawn[row * (stages + 2) + 1 + i]
                assert float(cos) == pytest.approx(
                    stage['cosine']['values'][row], abs=0.0051
                )
                assert float(snr) == pytest.approx(
                    stage['snr_db']['values'][row], abs=0.0561
                )


def test_the_noise_is_the_same_whatever_image_came_before():
    look = look_at('det', task_toys.algorithm('det', initial_gamma=0.5))
    first = look(Path('1.png')).pairs['diff_p3'].stages[1].compared
    look(Path('2.png'))
    again = look(Path('1.png')).pairs['diff_p3'].stages[1].compared
    look.seed = 1
    other = look(Path('1.png')).pairs['diff_p3'].stages[1].compared
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_looking_changes_nothing_in_the_model():
    look = look_at('det', task_toys.algorithm('det'))
    before = {k: v.clone() for k, v in look.model.state_dict().items()}
    look(Path('1.png'))
    for key, value in look.model.state_dict().items():
        assert torch.equal(value, before[key]), key
    for manager in ('student_recorders', 'teacher_recorders'):
        for recorder in getattr(
            look.model.distiller, manager
        ).recorders.values():
            assert not recorder.data_buffer


def test_bare_mimicking_is_held_against_the_teacher_at_its_loss():
    cfg = task_toys.algorithm('det')
    distiller = cfg['distiller']
    for name in ('connectors', 'connector_forward_mappings'):
        distiller.pop(name)
    for loss in distiller['loss_forward_mappings'].values():
        for side in loss.values():
            level = side.pop('connector')
            side['data_idx'] = dict(diff_p3=0, diff_p4=1)[level]
    seen = look_at('det', cfg)(Path('1.png'))
    assert list(seen.pairs) == list(distiller['distill_losses'])
    (row,) = [row_of(seen, p) for p in list(seen.pairs.values())[:1]]
    assert list(row.features) == ['student', 'teacher']


def test_guidance_by_labels_says_what_to_do():
    look = look_at('cls', dskd_toys.algorithm('cls', labels=True))
    with pytest.raises(UserError, match='dskd.guidance.target=teacher'):
        look(Path('1.png'))


def test_regions_of_a_training_step_are_left_out_with_a_word():
    look = look_at('det', two_stage_toys.algorithm())
    with pytest.raises(UserError, match='loss_cls: it compares regions'):
        look(Path('1.png'))
    assert list(look.reasons) == ['loss_cls', 'loss_reg']
