# Copyright (c) mmdiffkd contributors.
"""`tools/test.py` on each pair of config and checkpoint."""

import pickle
import re

import pytest
import torch
from helpers.task_toys import SCOPES
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmseg.visualization import SegLocalVisualizer

from mmdiffkd.datasets import make_demo_set
from mmdiffkd.engine.student_testing import set_show_dir
from mmdiffkd.utils import UserError


@pytest.fixture(scope='module')
def plain(distilled, tmp_path_factory):
    """The student exported from the distilled run."""
    from mmdiffkd.utils.checkpoints.export import export_student

    folder = tmp_path_factory.mktemp('plain')
    return export_student(str(distilled / 'epoch_1.pth'), str(folder)).path


def test_every_pair_predicts_alike_and_without_teacher(
    tool, tiny, distilled, plain, tmp_path
):
    distill = tmp_path / 'without_teacher.py'
    # A teacher that could not be built.
    distill.write_text(
        f"_base_ = '{tiny.distill}'\n"
        "model = dict(teacher=dict(cfg_path='/gone.py'))\n"
    )
    checkpoint = str(distilled / 'epoch_1.pth')
    results = []
    for config in (distill, tiny.student):
        for weights in (checkpoint, plain):
            out = tmp_path / f'{len(results)}.pkl'
            run = tool(
                'test.py',
                config,
                weights,
                '--work-dir',
                tmp_path / 'work',
                '--out',
                out,
            )
            assert run.code == 0, run.err
            assert 'coco/bbox_mAP' in run.out
            with open(out, 'rb') as file:
                results.append(pickle.load(file))
    assert len(results) == 4 and len(results[0]) == 8
    for other in results[1:]:
        for ours, first in zip(other, results[0]):
            for key in ('scores', 'bboxes', 'labels'):
                assert torch.equal(
                    ours['pred_instances'][key], first['pred_instances'][key]
                )


def test_testing_leaves_the_files_of_the_training(
    tool, tiny, distilled, tmp_path
):
    config = distilled / 'distill.py'
    before = config.read_text()
    run = tool(
        'test.py',
        tiny.distill,
        distilled / 'epoch_1.pth',
        '--work-dir',
        distilled,
        '--show-dir',
        'shown',
    )
    assert run.code == 0, run.err
    assert config.read_text() == before
    assert 'FrozenTeacherDistill' in before
    assert len(list(distilled.glob('*/shown/*.png'))) == 8


def test_checkpoint_that_matches_nothing(mistake, tiny, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'head.fc.weight': torch.zeros(2, 2)}), path)
    message = mistake('test.py', tiny.student, path, '--work-dir', tmp_path)
    assert 'nothing in checkpoint' in message and str(path) in message
    assert 'head.* (1)' in message and 'backbone.*' in message


def test_checkpoint_of_a_teacher_alone(mistake, tiny, tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'teacher.x': torch.zeros(2, 2)}), path)
    message = mistake('test.py', tiny.distill, path, '--work-dir', tmp_path)
    assert 'teacher.* (1)' in message


def test_partly_matching_checkpoint_is_said(tool, tiny, plain, tmp_path):
    weights = torch.load(plain, weights_only=True)['state_dict']
    kept = {k: v for k, v in weights.items() if k.startswith('backbone')}
    path = tmp_path / 'part.pth'
    torch.save(dict(state_dict=kept), path)
    run = tool('test.py', tiny.student, path, '--work-dir', tmp_path)
    assert run.code == 0
    missing = len(weights) - len(kept)
    assert f'{missing} of the {len(weights)} tensors' in run.out
    assert 'keep random values' in run.out


def test_absent_checkpoint(mistake, tiny):
    assert "'gone.pth' does not exist" in mistake(
        'test.py', tiny.student, 'gone.pth'
    )


@pytest.mark.parametrize(
    'name, words',
    [('out.json', 'must end in .pkl'), ('out.pkl', '--overwrite')],
)
def test_out_file(mistake, tiny, plain, tmp_path, name, words):
    (tmp_path / name).write_bytes(b'precious')
    message = mistake('test.py', tiny.student, plain, '--out', tmp_path / name)
    assert words in message
    assert (tmp_path / name).read_bytes() == b'precious'


def test_tta_without_its_config(mistake, tiny, plain):
    assert 'tta_model' in mistake('test.py', tiny.student, plain, '--tta')


def test_absent_test_data_names_the_config_key(mistake, tiny, plain):
    message = mistake(
        'test.py',
        tiny.student,
        plain,
        '--cfg-options',
        'test_dataloader.dataset.data_root=/nowhere',
    )
    assert 'test_dataloader.dataset.data_root' in message


@pytest.mark.parametrize('task', ['seg', 'cls'])
def test_pictures_lie_below_the_work_dir_for_each_task(
    tool, checkout, task, tmp_path
):
    data = make_demo_set(
        tmp_path / 'data', task, dict(train=1, val=1, test=2)
    )[0]
    config = checkout / f'configs/demo/digits_{task}_student.py'
    with DefaultScope.overwrite_default_scope(SCOPES[task]):
        state = MODELS.build(Config.fromfile(config).model).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'student.pth')

    def pictures(show_dir):
        run = tool(
            'test.py',
            config,
            tmp_path / 'student.pth',
            '--work-dir',
            'work',
            '--show-dir',
            show_dir,
            '--cfg-options',
            'default_hooks.visualization.interval=1',
            *(
                f'test_dataloader.{key}'
                for key in (
                    f'dataset.data_root={data}/',
                    'num_workers=0',
                    'persistent_workers=False',
                    'batch_size=1',
                )
            ),
        )
        assert run.code == 0, run.err
        SegLocalVisualizer._instance_dict.clear()  # as in another process
        return set(tmp_path.rglob('*.png')) - set(data.rglob('*'))

    (tmp_path / 'shown').write_text('precious')  # another place of that name
    shown = pictures('shown')
    assert len(shown) >= 2
    for path in shown:
        assert re.fullmatch(
            r'\d+_\d+/shown', str(path.parent.relative_to(tmp_path / 'work'))
        )
    absolute = pictures(tmp_path / 'here') - shown
    assert {path.parent for path in absolute} == {tmp_path / 'here'}


@pytest.mark.parametrize('kind', ['Seg', ''])
def test_pictures_that_nothing_would_write(kind, tmp_path):
    hook = dict(type=f'{kind}VisualizationHook')
    cfg = Config(
        dict(work_dir=str(tmp_path), default_hooks=dict(visualization=hook))
    )
    with pytest.raises(UserError, match='needs a visualizer'):
        set_show_dir(cfg, 'shown')
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='--show-dir .*file.* is a file'):
        set_show_dir(cfg, str(tmp_path / 'file'))


def test_pictures_go_nowhere_else(tmp_path):
    """Neither where the config has them, nor to TensorBoard alone."""
    hook = dict(type='VisualizationHook', out_dir='/elsewhere')
    others = [dict(type='TensorboardVisBackend')]
    cfg = Config(
        dict(
            work_dir=str(tmp_path),
            default_hooks=dict(visualization=hook),
            visualizer=dict(type='UniversalVisualizer', vis_backends=others),
        )
    )
    set_show_dir(cfg, 'shown')
    assert cfg.default_hooks.visualization.out_dir is None
    (kept, added) = cfg.visualizer.vis_backends
    assert kept == others[0]
    assert added.type == 'mmengine.LocalVisBackend'
    assert added.img_save_dir == '../shown'
