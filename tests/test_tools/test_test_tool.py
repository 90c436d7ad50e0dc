# Copyright (c) mmdiffkd contributors.
"""`tools/test.py` on each pair of config and checkpoint."""

import pickle

import pytest
import torch


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
