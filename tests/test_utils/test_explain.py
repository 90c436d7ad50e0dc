# Copyright (c) mmdiffkd contributors.
"""Each rule on the exception that it is for, raised by the real host."""

import json
from types import SimpleNamespace

import mmcv.transforms
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import CheckpointLoader, EpochBasedTrainLoop, Runner
from torch import nn

import mmdiffkd  # noqa: F401
from mmdiffkd.utils import explain as rules
from mmdiffkd.utils.blame import frames_of


def raised(function, *args, **kwargs):
    """An exception, with the calls below this one."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError('nothing was raised')


def answer(rule, error):
    """What a rule says; the whole table must say the same."""
    text = getattr(rules, rule)(error, frames_of(error))
    assert text == rules.explain(error)
    return text


def load(path):
    CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


def test_unknown_type():
    error = raised(MODELS.build, dict(type='mmrazor.L2Los'))
    assert "did you mean 'mmrazor.L2Loss'" in answer(
        'explain_unknown_type', error
    )


def test_missing_type():
    error = raised(MODELS.build, dict(loss_weight=2))
    assert answer('explain_missing_type', error) == (
        'config of a model needs a type, the name of a class, and has None: '
        "{'loss_weight': 2}"
    )


def test_wrong_argument():
    error = raised(MODELS.build, dict(type='mmrazor.L2Loss', weight=2))
    text = answer('explain_wrong_argument', error)
    assert text.startswith("L2Loss does not take 'weight'; did you mean ")
    assert "'loss_weight'" in text


def test_unreadable_checkpoint(tmp_path):
    (tmp_path / 'x.pth').write_text('hello')
    error = raised(load, tmp_path / 'x.pth')
    assert 'x.pth' in answer('explain_unreadable_checkpoint', error)


def test_weights_to_resume():
    runner = SimpleNamespace(load_checkpoint=lambda *_, **__: dict(meta={}))
    error = raised(Runner.resume, runner, 'x.pth', map_location='cpu')
    assert answer('explain_weights_to_resume', error) == (
        "'x.pth' is not a training checkpoint: it has no 'epoch'. To start "
        'from its weights, set load_from instead of resuming'
    )


def test_unknown_optimizer():
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='SDG', lr=1))
    wrapper['paramwise_cfg'] = dict(bias_lr_mult=2.0)
    error = raised(build_optim_wrapper, nn.Linear(2, 2), wrapper)
    assert "'SGD'" in answer('explain_unknown_optimizer', error)


def test_empty_dataset(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(dict(metainfo={}, data_list=[])))
    error = raised(BaseDataset, str(path))
    assert 'no image is left in the BaseDataset' in answer(
        'explain_empty_dataset', error
    )


def test_broken_json(tmp_path):
    (tmp_path / 'a.json').write_text('{"metainfo": ')
    error = raised(BaseDataset, str(tmp_path / 'a.json'))
    assert 'is not valid JSON' in answer('explain_broken_json', error)


def load_image(path):
    mmcv.transforms.LoadImageFromFile()(dict(img_path=str(path)))


def test_absent_image(tmp_path):
    error = raised(load_image, tmp_path / 'x.png')
    assert 'x.png' in answer('explain_absent_image', error)


@pytest.mark.parametrize('content', ['', 'no image'])
def test_broken_image(tmp_path, content):
    (tmp_path / 'x.png').write_text(content)
    error = raised(load_image, tmp_path / 'x.png')
    assert 'x.png' in answer('explain_broken_image', error)


@pytest.mark.parametrize(
    'name, words',
    [
        ('http://127.0.0.1:9/x.pth', 'cannot be downloaded'),
        ('torchvision://resnet19', "no model 'resnet19'"),
    ],
)
def test_download(name, words):
    assert words in answer('explain_download', raised(load, name))


def test_other_model(tmp_path):
    path = str(tmp_path / 'x.pth')
    torch.save(dict(state_dict=nn.Linear(3, 3).state_dict()), path)
    runner = SimpleNamespace(
        model=nn.Linear(2, 2), call_hook=lambda *_, **__: None
    )
    error = raised(Runner.load_checkpoint, runner, path, strict=True)
    assert 'does not belong to this config' in answer(
        'explain_other_model', error
    )


def test_construction():
    error = raised(MODELS.build, dict(type='mmdet.ResNet', depth=17))
    text = answer('explain_construction', error)
    assert text.startswith('ResNet cannot be built from its config')
    assert 'depth 17' in text


def test_construction_of_a_class_of_the_user_is_left_alone():
    @MODELS.register_module(force=True)
    class SlippingHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(-1, 1, 1)

    error = raised(MODELS.build, dict(type='SlippingHead'))
    assert rules.explain(error) is None


def test_runner_settings(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(
        json.dumps(dict(metainfo={}, data_list=[dict(img_path='a')]))
    )
    loader = dict(
        dataset=BaseDataset(str(path), serialize_data=False, test_mode=True),
        sampler=dict(type='DefaultSampler'),
        batch_size=1,
        num_workers=-1,
    )
    error = raised(Runner.build_dataloader, loader)
    assert 'num_workers' in answer('explain_runner_settings', error)


def classifier(in_channels):
    cfg = dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(type='mmpretrain.LeNet5'),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=2,
            in_channels=in_channels,
        ),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg)


def first_step(model, iteration=0):
    """The loop's own method, on one image."""
    loop = SimpleNamespace(
        runner=SimpleNamespace(
            model=model,
            iter=iteration,
            call_hook=lambda *_, **__: None,
            optim_wrapper=build_optim_wrapper(
                model, dict(optimizer=dict(type='SGD', lr=0.1))
            ),
        ),
        _iter=iteration,
    )
    batch = dict(inputs=torch.zeros(1, 1, 32, 32), data_samples=None)
    return raised(EpochBasedTrainLoop.run_iter, loop, 0, batch)


def test_first_iteration():
    text = answer('explain_first_iteration', first_step(classifier(7)))
    assert text.startswith('the first training iteration fails in ')


def test_a_later_iteration_is_left_alone():
    assert rules.explain(first_step(classifier(7), iteration=1)) is None


def test_a_first_iteration_of_a_class_of_the_user_is_left_alone():
    model = classifier(84)
    model.backbone.forward = lambda x: x.no_such_thing
    assert rules.explain(first_step(model)) is None


@pytest.mark.parametrize(
    'message, device',
    [
        ('CUDA out of memory. Tried to allocate 2.00 GiB', 'GPU'),
        ("DefaultCPUAllocator: can't allocate memory", 'machine'),
    ],
)
def test_memory(message, device):
    def step():
        raise torch.OutOfMemoryError(message)

    text = answer('explain_memory', raised(step))
    assert text.startswith(f'the {device} has not enough memory')
    assert ('--amp' in text) is (device == 'GPU')


def test_disk(tmp_path):
    names = {'__name__': '__main__'}
    exec('def read(path): open(path)', names)
    error = raised(names['read'], str(tmp_path / 'x'))
    assert answer('explain_full_or_closed_disk', error) == (
        f"No such file or directory: '{tmp_path / 'x'}'"
    )


def test_a_file_that_a_class_of_the_user_lacks_is_left_alone(tmp_path):
    path = tmp_path / 'x'
    assert rules.explain(raised(lambda: path.read_text())) is None
