# Copyright (c) mmdiffkd contributors.
"""CIFAR classifiers that others have published, under MMPretrain's names."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError, closest

Rules = tuple[tuple[str, str], ...]


class ZooModel(NamedTuple):
    """A published classifier, as a backbone of ours.

    ``channels`` is the width of its last map. ``rules`` are pairs of a
    regular expression and its replacement, which turn a published name into
    one of an ``ImageClassifier``. The first that matches is applied. ``{}``
    in a replacement is the number of the first group less one: stages are
    counted from 1 there, from 0 here.
    """

    backbone: dict[str, Any]
    channels: int
    rules: Rules


RESNET = (
    (r'conv1\.', 'backbone.stem.0.'),
    (r'bn1\.', 'backbone.stem.1.'),
    (r'layer(\d)\.', 'backbone.stages.{}.'),
    (r'(?:fc|linear)\.', 'head.fc.'),
)
SHUFFLE_V2 = (
    (r'conv2\.', 'backbone.stages.3.0.'),
    (r'bn2\.', 'backbone.stages.3.1.'),
    *RESNET,
)
MOBILE_V2 = (
    (r'conv1\.', 'backbone.stem.'),
    (r'blocks\.', 'backbone.stages.'),
    (r'conv2\.', 'backbone.stages.7.'),
    (r'classifier\.0\.', 'head.fc.'),
)
# Blocks are counted from 0; the first module of our stage is the pooling.
VGG = (
    (r'block(\d)\.', r'backbone.stages.\1.1.'),
    (r'classifier\.', 'head.fc.'),
)
RESNET50 = (
    (r'linear\.', 'head.fc.'),
    (r'(layer\d\.\d+\.)shortcut\.', r'backbone.\1downsample.'),
    (r'', 'backbone.'),
)


def _resnet(depth: int, width: int = 1, shortcut: str = 'B') -> ZooModel:
    channels = (
        (16, 16, 32, 64)
        if width == 1
        else tuple(8 * width * 2**i for i in range(4))
    )
    return ZooModel(
        dict(
            type='mmdiffkd.CIFARResNet',
            depth=depth,
            channels=channels,
            shortcut=shortcut,
        ),
        channels[-1],
        RESNET,
    )


def _wide_resnet(depth: int, width: int) -> ZooModel:
    rules = (
        (r'conv1\.', 'backbone.stem.'),
        (
            r'block(\d)\.layer\.(\d+)\.convShortcut\.',
            r'backbone.stages.{}.\2.downsample.',
        ),
        (r'block(\d)\.layer\.', 'backbone.stages.{}.'),
        # The last norm stands behind the blocks of the last stage.
        (r'bn1\.', f'backbone.stages.2.{(depth - 4) // 6}.'),
        (r'fc\.', 'head.fc.'),
    )
    return ZooModel(
        dict(type='mmdiffkd.CIFARWideResNet', depth=depth, widen_factor=width),
        64 * width,
        rules,
    )


#: Models of the CRD / RepDistiller CIFAR-100 zoo, by their names there.
CRD_ZOO: dict[str, ZooModel] = {
    **{f'resnet{d}': _resnet(d) for d in (8, 14, 20, 32, 44, 56, 110)},
    'resnet8x4': _resnet(8, 4),
    'resnet32x4': _resnet(32, 4),
    **{f'wrn_{d}_{w}': _wide_resnet(d, w) for d in (16, 40) for w in (1, 2)},
    **{
        f'vgg{d}': ZooModel(dict(type='mmdiffkd.CIFARVGG', depth=d), 512, VGG)
        for d in (8, 11, 13, 16, 19)
    },
    'ResNet50': ZooModel(
        dict(
            type='mmpretrain.ResNet_CIFAR',
            depth=50,
            num_stages=4,
            out_indices=(3,),
            style='pytorch',
        ),
        2048,
        RESNET50,
    ),
    'MobileNetV2': ZooModel(
        dict(type='mmdiffkd.CIFARMobileNetV2', widen_factor=0.5),
        1280,
        MOBILE_V2,
    ),
    'ShuffleV1': ZooModel(
        dict(type='mmdiffkd.CIFARShuffleNetV1'), 960, RESNET
    ),
    'ShuffleV2': ZooModel(
        dict(type='mmdiffkd.CIFARShuffleNetV2'), 1024, SHUFFLE_V2
    ),
}
CRD_ZOO['mobile_half'] = CRD_ZOO['MobileNetV2']


def from_crd(state: Mapping[str, Tensor], name: str) -> OrderedDict:
    """Rename the weights of a model of the CRD zoo.

    Args:
        state (Mapping): Its state dict; a prefix ``module.`` is understood.
        name (str): Its name there, such as ``'resnet32x4'``.

    Returns:
        OrderedDict: State dict of an ``ImageClassifier``.

    Raises:
        UserError: If there is no such model, or these are not its weights.
    """
    if name not in CRD_ZOO:
        raise UserError(
            f'the zoo has no model {name!r}{closest(name, CRD_ZOO)}'
        )
    problem, result = _rename(state, CRD_ZOO[name])
    if problem:
        fitting = [
            other
            for other, model in CRD_ZOO.items()
            if other != name and not _rename(state, model)[0]
        ]
        hint = f'; they are those of {fitting[0]}' if fitting else ''
        raise UserError(f'not the weights of {name}: {problem}{hint}')
    return result


def from_akamaster(
    state: Mapping[str, Tensor],
) -> tuple[OrderedDict, ZooModel]:
    """Rename the weights of a CIFAR-10 ResNet of akamaster's collection.

    Args:
        state (Mapping): Its state dict; a prefix ``module.`` is understood.

    Returns:
        tuple[OrderedDict, ZooModel]: State dict of an ``ImageClassifier``,
        and the model, whose depth follows from the number of blocks.

    Raises:
        UserError: If these are not the weights of such a network.
    """
    blocks = {
        match[1]
        for match in (
            re.match(r'(?:module\.)?layer1\.(\d+)\.', key) for key in state
        )
        if match
    }
    if not blocks:
        raise UserError(
            'not the weights of a CIFAR ResNet: no name begins '
            f'with layer1.0; found {", ".join(list(state)[:3])}'
        )
    model = _resnet(6 * len(blocks) + 2, shortcut='A')
    problem, result = _rename(state, model)
    if problem:
        raise UserError(
            'not the weights of a CIFAR ResNet-'
            f'{model.backbone["depth"]} of this collection: '
            f'{problem}'
        )
    return result, model


def _rename(
    state: Mapping[str, Tensor], model: ZooModel
) -> tuple[str, OrderedDict]:
    """Return what is wrong, or an empty string, and the renamed weights."""
    own = MODELS.build(dict(model.backbone)).state_dict(prefix='backbone.')
    # Only the classifier has a matrix; any number of classes will do.
    classes = next((len(v) for v in state.values() if v.dim() == 2), 0)
    own['head.fc.weight'] = torch.empty(classes, model.channels)
    own['head.fc.bias'] = torch.empty(classes)
    result, unknown, wrong = OrderedDict(), [], []
    for key, value in state.items():
        name = _new_name(re.sub(r'^module\.', '', key), model.rules)
        if name not in own:
            unknown.append(key)
        elif value.shape != own[name].shape:
            wrong.append(
                f'{key} is {tuple(value.shape)}, not {tuple(own[name].shape)}'
            )
        else:
            result[name] = value
    for name, value in own.items():
        if name.endswith('num_batches_tracked'):
            result.setdefault(name, value)  # old PyTorch did not write it
    missing = [key for key in own if key not in result]
    problems: list[str] = []
    if unknown:
        problems.append(f'{len(unknown)} unknown names, such as {unknown[0]}')
    if wrong:
        problems.append(f'{len(wrong)} of another shape, such as {wrong[0]}')
    if missing and not wrong:
        problems.append(f'{len(missing)} missing, such as {missing[0]}')
    return '; '.join(problems), result


def _new_name(key: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        match = re.match(pattern, key)
        if match:
            if '{}' in replacement:
                replacement = replacement.format(int(match[1]) - 1)
            return match.expand(replacement) + key[match.end() :]
    return key
