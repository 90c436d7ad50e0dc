# Copyright (c) mmdiffkd contributors.
"""Published weights give the published network's logits, and accuracy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import task_toys, zoo

from mmdiffkd.models.backbones.cifar_zoo import (
    CRD_ZOO,
    from_akamaster,
    from_crd,
)
from mmdiffkd.utils import UserError


def classifier(backbone, state):
    """MMPretrain's ImageClassifier with these weights, all of them."""
    classes, channels = state['head.fc.weight'].shape
    model = task_toys.build(
        'cls',
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(backbone),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=classes,
                in_channels=channels,
            ),
        ),
    )
    model.load_state_dict(state, strict=True)
    model.train(False)
    return model


@pytest.mark.parametrize('name', zoo.MODELS)
def test_converted_model_gives_the_published_networks_logits(name):
    weights, images, logits = zoo.published(name)
    model = classifier(CRD_ZOO[name].backbone, from_crd(weights, name))
    with torch.no_grad():
        torch.testing.assert_close(
            model(images), logits, rtol=1e-4, atol=1e-4 * logits.std()
        )
    assert round(weights.count() / 1000) == zoo.MODELS[name][1]


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_akamaster_has_shortcuts_without_weights(prefix):
    weights, images = zoo.Weights(), torch.randn(2, 3, 32, 32)
    logits = zoo.resnet(
        weights, images, 32, option='A', fc='linear', classes=10
    )
    state = {
        prefix + key: value
        for key, value in weights.items()
        if not key.endswith('num_batches_tracked')
    }
    converted, model = from_akamaster(state)
    assert model.backbone['depth'] == 32
    with torch.no_grad():
        torch.testing.assert_close(
            classifier(model.backbone, converted)(images),
            logits,
            rtol=1e-4,
            atol=1e-4 * float(logits.std()),
        )


@pytest.mark.parametrize(
    'file,correct',
    [
        ('resnet20-12fca82f.th', 854),
        pytest.param('resnet56-4bfd9763.th', 863, marks=pytest.mark.slow),
        pytest.param('resnet32-d509ac18.th', 867, marks=pytest.mark.slow),
        pytest.param('resnet44-014dd654.th', 871, marks=pytest.mark.slow),
    ],
)
def test_accuracy_on_real_images(shared_data, file, correct):
    """91.63, 92.60, 93.03 and 93.45 % of 932 lossless test images."""
    folder = shared_data / 'weights/cifar10_akamaster'
    archive = shared_data / 'cifar10/cifar10_lossless_test_subset.npz'
    if not (folder / file).is_file() or not archive.is_file():
        pytest.skip(f'no {file} and CIFAR-10 images in {shared_data}')
    weights = torch.load(folder / file, map_location='cpu', weights_only=True)
    state, zoo_model = from_akamaster(weights['state_dict'])
    model = classifier(zoo_model.backbone, state)
    with np.load(archive) as content:
        images = torch.from_numpy(content['images']).permute(0, 3, 1, 2)
        labels = torch.from_numpy(content['labels']).long()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        hits = sum(
            (model((x / 255 - mean) / std).argmax(1) == y).sum().item()
            for x, y in zip(images.split(64), labels.split(64))
        )
    assert hits == correct


def test_unknown_model_suggests_the_closest():
    with pytest.raises(UserError, match="'resnet32_x4'.*'resnet32x4'"):
        from_crd({}, 'resnet32_x4')


def test_weights_of_another_model_are_recognised():
    weights, _, _ = zoo.published('wrn_16_2')
    with pytest.raises(UserError) as error:
        from_crd(weights, 'wrn_40_2')
    assert 'missing' in str(error.value)
    assert 'wrn_16_2' in str(error.value)


def test_shapes_that_differ_are_told():
    weights, _, _ = zoo.published('wrn_16_2')
    weights['block1.layer.0.conv1.weight'] = torch.zeros(32, 16, 1, 1)
    with pytest.raises(UserError) as error:
        from_crd(weights, 'wrn_16_2')
    assert '1 of another shape' in str(error.value)
    assert '(32, 16, 1, 1), not (32, 16, 3, 3)' in str(error.value)


def test_head_of_another_width_is_told():
    weights, _, _ = zoo.published('resnet20')
    weights['fc.weight'] = F.pad(weights['fc.weight'], (0, 1))
    with pytest.raises(UserError, match='fc.weight'):
        from_crd(weights, 'resnet20')


def test_akamaster_refuses_other_networks():
    with pytest.raises(UserError, match='found a.weight'):
        from_akamaster({'a.weight': torch.zeros(1)})
    weights, _, _ = zoo.published('resnet20')  # shortcuts with weights
    with pytest.raises(UserError, match='ResNet-20.*downsample'):
        from_akamaster(weights)
