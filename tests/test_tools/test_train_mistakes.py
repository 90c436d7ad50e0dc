# Copyright (c) mmdiffkd contributors.
"""What `tools/train.py` answers to wrong configs and arguments."""

import pytest
import torch


def options(*words):
    return ('--cfg-options', *words)


def write(path, text):
    path.write_text(text)
    return path


def test_absent_config_names_the_closest_file(mistake, tiny):
    message = mistake('train.py', tiny.folder / 'studnet.py')
    assert 'studnet.py' in message and 'does not exist' in message
    assert f'did you mean {tiny.student!r}' in message


def test_syntax_error_names_file_and_line(mistake, tmp_path):
    config = write(tmp_path / 'bad.py', 'a = 1\nb = (2,\n')
    message = mistake('train.py', config)
    assert str(config) in message and 'line 2' in message


def test_error_in_config_names_file_and_line(mistake, tiny, tmp_path):
    base = write(tmp_path / 'base.py', 'a = 1\n\nb = undefined_name\n')
    config = write(tmp_path / 'child.py', "_base_ = 'base.py'\n")
    message = mistake('train.py', config)
    assert f'{base}, line 3' in message
    assert 'undefined_name' in message


def test_absent_base_names_both_files(mistake, tmp_path):
    config = write(tmp_path / 'child.py', "_base_ = 'nowhere.py'\n")
    message = mistake('train.py', config)
    assert 'nowhere.py' in message and 'child.py' in message


def test_absent_custom_import_is_named(mistake, tmp_path):
    config = write(
        tmp_path / 'c.py',
        "custom_imports = dict(imports=['no_such_module_x'])\n",
    )
    assert 'no_such_module_x' in mistake('train.py', config)


def test_option_without_equals_sign(tool, tiny):
    result = tool('train.py', tiny.student, *options('train_cfg.max_epochs'))
    assert result.code == 2
    assert "'train_cfg.max_epochs' is not of the form KEY=VALUE" in result.err


def test_option_with_unbalanced_brackets(tool, tiny):
    result = tool('train.py', tiny.student, *options('a=[(1,2]'))
    assert result.code == 2
    assert 'Imbalanced brackets' in result.err


def test_misspelt_option_names_the_closest_key(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('optim_wraper.optimizer.lr=1')
    )
    assert "did you mean 'optim_wrapper'" in message


def test_option_below_a_plain_value(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('model.backbone.depth.x=1')
    )
    assert 'depth' in message and 'student.py' in message


def test_unknown_type_names_the_closest_ones(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('model.neck.type=FPM')
    )
    assert "'FPM' is not in the mmdet::model registry" in message
    assert "'FPN'" in message
    assert 'config key model.neck.type' in message


def test_unknown_type_with_a_scope(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('model.type=mmdet.RetinaNett')
    )
    assert "did you mean 'mmdet.RetinaNet'" in message


def test_unknown_hook_without_any_close_name(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('default_hooks.timer.type=Qqqqq')
    )
    assert "'Qqqqq' is not in the mmengine::hook registry" in message or (
        "'Qqqqq' is not in the mmdet::hook registry" in message
    )
    assert 'custom_imports' in message


def test_unknown_argument_names_the_class_and_its_arguments(mistake, tiny):
    message = mistake(
        'train.py', tiny.student, *options('model.bbox_head.stacked_conv=2')
    )
    assert "RetinaHead does not take 'stacked_conv'" in message
    assert 'config key model.bbox_head' in message
    assert "did you mean 'stacked_convs'" in message
    # Those of its base class, too.
    assert 'feat_channels' in message


def test_unknown_argument_of_the_training_loop(mistake, tiny):
    message = mistake(
        'train.py',
        tiny.student,
        '--work-dir',
        'w',
        *options('train_cfg.max_epoch=2'),
    )
    assert "EpochBasedTrainLoop does not take 'max_epoch'" in message
    assert "did you mean 'max_epochs'" in message


def test_missing_argument_is_named(mistake, tiny, tmp_path):
    config = write(
        tmp_path / 'c.py',
        f"_base_ = '{tiny.student}'\n"
        "model = dict(neck=dict(_delete_=True, type='FPN', num_outs=3,"
        ' in_channels=[16, 32, 64]))\n',
    )
    message = mistake('train.py', config)
    assert "FPN needs 'out_channels'" in message
    assert 'config key model.neck' in message


@pytest.mark.parametrize(
    'option, key',
    [
        (
            'train_dataloader.dataset.data_root=/nowhere/',
            'train_dataloader.dataset.data_root',
        ),
        (
            'val_dataloader.dataset.ann_file=nolabels.json',
            'val_dataloader.dataset.ann_file',
        ),
        (
            'train_dataloader.dataset.data_prefix.img=noimages/',
            'train_dataloader.dataset.data_prefix.img',
        ),
        (
            'val_evaluator.ann_file=/nowhere/labels.json',
            'val_evaluator.ann_file',
        ),
    ],
)
def test_absent_data_names_path_and_config_key(
    mistake, tiny, tmp_path, option, key
):
    message = mistake(
        'train.py',
        tiny.student,
        '--work-dir',
        tmp_path / 'w',
        *options(option),
    )
    assert option.split('=')[1] in message and 'does not exist' in message
    assert f'set {key}' in message
    assert not (tmp_path / 'w').exists()


def test_work_dir_with_checkpoints_is_refused(mistake, tiny, tmp_path):
    earlier = tmp_path / 'epoch_3.pth'
    earlier.write_bytes(b'precious')
    message = mistake('train.py', tiny.student, '--work-dir', tmp_path)
    assert str(tmp_path) in message and 'epoch_3.pth' in message
    for flag in ('--resume', '--overwrite', '--work-dir'):
        assert flag in message
    assert earlier.read_bytes() == b'precious'
    assert list(tmp_path.iterdir()) == [earlier]


def test_absent_file_to_resume_from(mistake, tiny):
    assert 'no such file' in mistake(
        'train.py', tiny.student, '--resume', 'gone.pth'
    )


def test_absent_load_from_names_the_config_key(mistake, tiny):
    message = mistake('train.py', tiny.student, *options('load_from=gone.pth'))
    assert "'gone.pth' does not exist (config key load_from)" in message


def test_resume_without_a_note_of_the_latest(mistake, tiny, tmp_path):
    (tmp_path / 'epoch_2.pth').write_bytes(b'')
    message = mistake(
        'train.py', tiny.student, '--work-dir', tmp_path, '--resume'
    )
    assert f'--resume {tmp_path / "epoch_2.pth"}' in message


def test_truncated_checkpoint(mistake, tiny, distilled, tmp_path):
    whole = (distilled / 'epoch_1.pth').read_bytes()
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(whole[: len(whole) // 2])
    message = mistake(
        'train.py', tiny.student, '--work-dir', 'w', '--resume', cut
    )
    assert f"'{cut}' is truncated ({len(whole) // 2} bytes)" in message


def test_resuming_from_bare_weights(mistake, tiny, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}, meta={}), path)
    message = mistake(
        'train.py', tiny.student, '--work-dir', 'w', '--resume', path
    )
    assert 'is not a training checkpoint' in message
    assert 'load_from' in message


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs no GPU')
def test_amp_without_a_gpu(mistake, tiny):
    assert '--amp needs a GPU' in mistake('train.py', tiny.student, '--amp')


def test_amp_with_a_wrapper_of_another_kind(mistake, tiny):
    message = mistake(
        'train.py',
        tiny.student,
        '--amp',
        *options('optim_wrapper.type=ApexOptimWrapper'),
    )
    assert 'ApexOptimWrapper' in message


def test_auto_scale_lr_without_a_base(mistake, tiny):
    message = mistake('train.py', tiny.student, '--auto-scale-lr')
    assert 'auto_scale_lr.base_batch_size' in message


def test_launcher_that_did_not_start_the_process(mistake, tiny):
    message = mistake('train.py', tiny.student, '--launcher', 'pytorch')
    assert 'tools/dist_train.sh' in message


def test_wrong_distiller_is_the_users_mistake(mistake, tiny):
    message = mistake(
        'train.py',
        tiny.distill,
        '--work-dir',
        'w',
        *options('model.distiller.student_recorders.fpn.source=nec'),
    )
    assert 'nec' in message and 'neck' in message


def test_other_errors_keep_their_traceback(tool, tiny, tmp_path):
    """A defect must not be dressed up as a mistake of the user."""
    module = tmp_path / 'broken_hook.py'
    module.write_text(
        'from mmengine.registry import HOOKS\n'
        'from mmengine.hooks import Hook\n'
        '@HOOKS.register_module(force=True)\n'
        'class BrokenHook(Hook):\n'
        '    def __init__(self):\n'
        '        raise TypeError("broken inside")\n'
    )
    config = write(
        tmp_path / 'c.py',
        f"_base_ = '{tiny.student}'\n"
        "custom_imports = dict(imports=['broken_hook'])\n"
        "custom_hooks = [dict(type='BrokenHook')]\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with pytest.raises(TypeError, match='broken inside'):
            tool('train.py', config, '--work-dir', tmp_path / 'w')
