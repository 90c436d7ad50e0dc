# Copyright (c) mmdiffkd contributors.
"""The published CIFAR models, written a second time as plain functions.

A function creates each weight when it first needs it, under the name that
the published files have. So it defines names, shapes and result at once,
without any of the project's code.
"""

import torch
import torch.nn.functional as F


class Weights(dict):
    """A state dict that is filled by running the model once."""

    def __init__(self, seed=0):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def _get(self, name, *shape, low=None):
        if name not in self:
            draw = torch.rand if low is not None else torch.randn
            self[name] = draw(*shape, generator=self.generator) + (low or 0.0)
        return self[name]

    def conv(self, x, name, out, size=1, stride=1, groups=1):
        fan_in = x.shape[1] // groups * size**2
        new = f'{name}.weight' not in self
        weight = self._get(
            f'{name}.weight', out, x.shape[1] // groups, size, size
        )
        if new:
            weight *= (2 / fan_in) ** 0.5
        return F.conv2d(x, weight, None, stride, size // 2, 1, groups)

    def norm(self, x, name):
        c = x.shape[1]
        self.setdefault(f'{name}.num_batches_tracked', torch.tensor(7))
        return F.batch_norm(
            x,
            self._get(f'{name}.running_mean', c),
            self._get(f'{name}.running_var', c, low=0.5),
            self._get(f'{name}.weight', c, low=0.5),
            self._get(f'{name}.bias', c),
        )

    def classify(self, x, name, classes):
        x = x.mean((2, 3))
        return F.linear(
            x,
            self._get(f'{name}.weight', classes, x.shape[1]),
            self._get(f'{name}.bias', classes),
        )

    def count(self):
        """Learnable parameters."""
        return sum(
            value.numel()
            for key, value in self.items()
            if not key.endswith(('_mean', '_var', '_tracked'))
        )


def resnet(
    w, x, depth, channels=(16, 16, 32, 64), option='B', fc='fc', classes=100
):
    x = F.relu(w.norm(w.conv(x, 'conv1', channels[0], 3), 'bn1'))
    for i in range(1, 4):
        for j in range((depth - 2) // 6):
            name, stride = f'layer{i}.{j}', 2 if i > 1 and j == 0 else 1
            out = F.relu(
                w.norm(
                    w.conv(x, f'{name}.conv1', channels[i], 3, stride),
                    f'{name}.bn1',
                )
            )
            out = w.norm(
                w.conv(out, f'{name}.conv2', channels[i], 3), f'{name}.bn2'
            )
            if out.shape != x.shape and option == 'A':
                half = (channels[i] - x.shape[1]) // 2
                small = x[:, :, ::2, ::2]
                zeros = torch.zeros_like(small[:, :1]).expand(-1, half, -1, -1)
                x = torch.cat([zeros, small, zeros], 1)
            elif out.shape != x.shape:
                x = w.norm(
                    w.conv(x, f'{name}.downsample.0', channels[i], 1, stride),
                    f'{name}.downsample.1',
                )
            x = F.relu(out + x)
    return w.classify(x, fc, classes)


def wrn(w, x, depth, width):
    x = w.conv(x, 'conv1', 16, 3)
    for i in range(1, 4):
        for j in range((depth - 4) // 6):
            name, out = f'block{i}.layer.{j}', 8 * width * 2**i
            stride = 2 if i > 1 and j == 0 else 1
            y = F.relu(w.norm(x, f'{name}.bn1'))
            if x.shape[1] != out:
                x = w.conv(y, f'{name}.convShortcut', out, 1, stride)
            y = w.conv(y, f'{name}.conv1', out, 3, stride)
            y = F.relu(w.norm(y, f'{name}.bn2'))
            x = x + w.conv(y, f'{name}.conv2', out, 3)
    return w.classify(F.relu(w.norm(x, 'bn1')), 'fc', 100)


def vgg(w, x, depths):
    for i, (out, depth) in enumerate(zip((64, 128, 256, 512, 512), depths)):
        if i in (1, 2, 3):
            x = F.max_pool2d(x, 2, 2)
        for j in range(depth):  # norm and ReLU stand between
            x = w.conv(x, f'block{i}.{3 * j}', out, 3)
            x = x + w._get(f'block{i}.{3 * j}.bias', out)[:, None, None]
            x = F.relu(w.norm(x, f'block{i}.{3 * j + 1}'))
    return w.classify(x, 'classifier', 100)


def resnet50(w, x):
    x = F.relu(w.norm(w.conv(x, 'conv1', 64, 3), 'bn1'))
    for i, depth in enumerate((3, 4, 6, 3), start=1):
        for j in range(depth):
            name, c = f'layer{i}.{j}', 32 * 2**i
            stride = 2 if i > 1 and j == 0 else 1
            y = F.relu(w.norm(w.conv(x, f'{name}.conv1', c), f'{name}.bn1'))
            y = w.conv(y, f'{name}.conv2', c, 3, stride)
            y = F.relu(w.norm(y, f'{name}.bn2'))
            y = w.norm(w.conv(y, f'{name}.conv3', 4 * c), f'{name}.bn3')
            if j == 0:
                x = w.norm(
                    w.conv(x, f'{name}.shortcut.0', 4 * c, 1, stride),
                    f'{name}.shortcut.1',
                )
            x = F.relu(x + y)
    return w.classify(x, 'linear', 100)


def mobile_half(w, x):
    x = F.relu(w.norm(w.conv(x, 'conv1.0', 16, 3, 2), 'conv1.1'))
    settings = [
        (1, 8, 1, 1),
        (6, 12, 2, 1),
        (6, 16, 3, 2),
        (6, 32, 4, 2),
        (6, 48, 3, 1),
        (6, 80, 3, 2),
        (6, 160, 1, 1),
    ]
    for i, (factor, out, depth, stride) in enumerate(settings):
        for j in range(depth):
            name, c = f'blocks.{i}.{j}.conv', factor * x.shape[1]
            y = F.relu(w.norm(w.conv(x, f'{name}.0', c), f'{name}.1'))
            y = w.conv(y, f'{name}.3', c, 3, 1 if j else stride, groups=c)
            y = F.relu(w.norm(y, f'{name}.4'))
            y = w.norm(w.conv(y, f'{name}.6', out), f'{name}.7')
            x = x + y if x.shape == y.shape else y
    x = F.relu(w.norm(w.conv(x, 'conv2.0', 1280), 'conv2.1'))
    return w.classify(x, 'classifier.0', 100)


def shuffle(x, groups):
    parts = x.chunk(groups, 1)
    channels = [part[:, i] for i in range(parts[0].shape[1]) for part in parts]
    return torch.stack(channels, 1)


def shuffle_v1(w, x):
    x = F.relu(w.norm(w.conv(x, 'conv1', 24), 'bn1'))
    for i, (out, depth) in enumerate(((240, 4), (480, 8), (960, 4)), start=1):
        for j in range(depth):
            name, branch = f'layer{i}.{j}', out - (0 if j else x.shape[1])
            groups, inner = 1 if x.shape[1] == 24 else 3, branch // 4
            y = w.conv(x, f'{name}.conv1', inner, groups=groups)
            y = shuffle(F.relu(w.norm(y, f'{name}.bn1')), groups)
            y = w.conv(y, f'{name}.conv2', inner, 3, 1 if j else 2, inner)
            y = F.relu(w.norm(y, f'{name}.bn2'))
            y = w.norm(
                w.conv(y, f'{name}.conv3', branch, groups=3), f'{name}.bn3'
            )
            x = y + x if j else torch.cat([y, F.avg_pool2d(x, 3, 2, 1)], 1)
            x = F.relu(x)
    return w.classify(x, 'linear', 100)


def shuffle_v2(w, x):
    x = F.relu(w.norm(w.conv(x, 'conv1', 24), 'bn1'))
    for i, (out, depth) in enumerate(((116, 3), (232, 7), (464, 3)), start=1):
        half, name = out // 2, f'layer{i}.0'
        left = w.conv(x, f'{name}.conv1', x.shape[1], 3, 2, x.shape[1])
        left = w.conv(w.norm(left, f'{name}.bn1'), f'{name}.conv2', half)
        left = F.relu(w.norm(left, f'{name}.bn2'))
        right = F.relu(w.norm(w.conv(x, f'{name}.conv3', half), f'{name}.bn3'))
        right = w.conv(right, f'{name}.conv4', half, 3, 2, half)
        right = w.conv(w.norm(right, f'{name}.bn4'), f'{name}.conv5', half)
        right = F.relu(w.norm(right, f'{name}.bn5'))
        x = shuffle(torch.cat([left, right], 1), 2)
        for j in range(1, depth + 1):
            name = f'layer{i}.{j}'
            y = w.conv(x[:, half:], f'{name}.conv1', half)
            y = F.relu(w.norm(y, f'{name}.bn1'))
            y = w.norm(
                w.conv(y, f'{name}.conv2', half, 3, 1, half), f'{name}.bn2'
            )
            y = F.relu(w.norm(w.conv(y, f'{name}.conv3', half), f'{name}.bn3'))
            x = shuffle(torch.cat([x[:, :half], y], 1), 2)
    x = F.relu(w.norm(w.conv(x, 'conv2', 1024), 'bn2'))
    return w.classify(x, 'linear', 100)


WIDE = (32, 64, 128, 256)
#: Function of each model, and its published size with 100 classes, in
#: thousands of parameters.
MODELS = {
    'resnet20': (lambda w, x: resnet(w, x, 20), 278),
    'resnet32': (lambda w, x: resnet(w, x, 32), 473),
    'resnet56': (lambda w, x: resnet(w, x, 56), 862),
    'resnet110': (lambda w, x: resnet(w, x, 110), 1737),
    'resnet8x4': (lambda w, x: resnet(w, x, 8, WIDE), 1234),
    'resnet32x4': (lambda w, x: resnet(w, x, 32, WIDE), 7434),
    'wrn_16_2': (lambda w, x: wrn(w, x, 16, 2), 703),
    'wrn_40_1': (lambda w, x: wrn(w, x, 40, 1), 570),
    'wrn_40_2': (lambda w, x: wrn(w, x, 40, 2), 2255),
    'vgg8': (lambda w, x: vgg(w, x, (1, 1, 1, 1, 1)), 3965),
    'vgg13': (lambda w, x: vgg(w, x, (2, 2, 2, 2, 2)), 9462),
    'ResNet50': (resnet50, 23705),
    'MobileNetV2': (mobile_half, 813),
    'ShuffleV1': (shuffle_v1, 949),
    'ShuffleV2': (shuffle_v2, 1356),
}


def published(name):
    """State dict, images and logits of a model of random weights."""
    weights = Weights()
    images = torch.randn(2, 3, 32, 32, generator=weights.generator)
    with torch.no_grad():
        logits = MODELS[name][0](weights, images)
    return weights, images, logits
