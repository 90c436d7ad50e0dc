"""The methods of MMRazor that recipes are compared with take a step."""

from pathlib import Path

import pytest
import torch

from mmdiffkd.engine.benchmark import models
from mmdiffkd.engine.benchmark.step import Step

ROOT = Path(__file__).parents[2]
OURS = models.read(str(ROOT / 'configs/det/diffkd_retina_r101_r50.py'))
FILES = sorted(ROOT.glob('configs/benchmark/*.py'))
CWD = 'mmrazor::distill/mmdet/cwd/cwd_fpn_retina_r101_retina_r50_1x_coco.py'


def test_there_are_five():
    names = [path.stem.partition('_')[0] for path in FILES]
    assert names == [
        f'mmrazor-{m}' for m in ['cwd', 'fbkd', 'mgd', 'mimic', 'pkd']
    ]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_student_and_teacher_are_those_of_the_recipe(path):
    cfg = models.read(str(path))
    assert cfg.model.type == 'mmrazor.SingleTeacherDistill'
    assert cfg.model.architecture == OURS.model.architecture
    assert cfg.model.teacher.cfg_path == OURS.model.teacher.cfg_path
    assert cfg.model.teacher_ckpt == OURS.model.teacher_ckpt


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [*map(str, FILES), CWD], ids=lambda name: Path(name).stem
)
def test_a_step_has_losses_of_the_method(name):
    step = Step(
        *models.build(models.read(name)), torch.device('cpu'), (256, 320), 1
    )
    losses = {}
    parse = step.model.parse_losses
    step.model.parse_losses = lambda found: (
        losses.update(found) or parse(found)
    )
    step()
    distilled = [v for k, v in losses.items() if k.startswith('distill.')]
    assert len(distilled) in (4, 5)
    assert all(torch.isfinite(v) and v.requires_grad for v in distilled)
