# Copyright (c) mmdiffkd contributors.
"""The core gives the numbers that it gave on the day they were written down.

``golden.json`` was made by ``python tests/test_diffusion/test_golden.py`` at
commit 468c2e4, in float64. A change that is meant to alter results writes it
anew and says so; a change of form must not.
"""

import json
from pathlib import Path

import pytest
import torch

from mmdiffkd.diffusion import (
    ClassifierGuidance,
    FeatureDiffusion,
    FeatureMimicking,
    SelfDiffusion,
)
from mmdiffkd.models import LSHFeatureLoss

PATH = Path(__file__).with_name('golden.json')
MAP = dict(student=(2, 6, 5, 7), teacher=(2, 8, 5, 7))
TOKENS = dict(student=(2, 13, 6), teacher=(2, 13, 8))
VECTOR = dict(student=(4, 6), teacher=(4, 8))
CASES = dict(
    tuned=(FeatureDiffusion, MAP, dict(recipe='tuned')),
    released=(FeatureDiffusion, MAP, dict(recipe='released')),
    autoencoder=(
        FeatureDiffusion,
        MAP,
        dict(
            recipe='released', latent_channels=4, autoencoder_loss_weight=2.0
        ),
    ),
    warmup=(
        FeatureDiffusion,
        MAP,
        dict(
            recipe='tuned',
            kd_warmup_iters=3,
            kd_grad_to_denoiser=True,
            norm_cfg=dict(type='GN'),
            with_cp=True,
            schedule=dict(min_snr_gamma=5.0),
            sampler=dict(num_inference_steps=2),
        ),
    ),
    resized=(
        FeatureDiffusion,
        dict(MAP, student=(2, 6, 3, 4)),
        dict(recipe='tuned', resize='bilinear', zero_init=False),
    ),
    tokens=(
        FeatureDiffusion,
        TOKENS,
        dict(recipe='tuned', token_shape=(3, 4), num_class_tokens=1),
    ),
    logits=(
        FeatureDiffusion,
        VECTOR,
        dict(recipe='tuned', denoiser=dict(type='MLPDenoiser')),
    ),
    mimicking=(FeatureMimicking, MAP, dict(kd_warmup_iters=2)),
    mimicking_autoencoder=(FeatureMimicking, MAP, dict(latent_channels=4)),
    self_diffusion=(SelfDiffusion, MAP, dict()),
    self_diffusion_autoencoder=(SelfDiffusion, MAP, dict(latent_channels=4)),
    guided=(SelfDiffusion, MAP, dict(zero_init=False)),
)


def spread(module):
    """Weights that no initialisation decides, norms and biases among them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            )
            parameter += 0.1 * noise.to(parameter)


def classify(clean):
    return clean.mean(dim=(2, 3)).log_softmax(1)[:, 0]


def numbers(name):
    """What two iterations of a case give, as plain numbers."""
    kind, shapes, options = CASES[name]
    torch.manual_seed(0)
    module = (
        kind(6, 8, seed=3, **options)
        if (kind is not FeatureMimicking)
        else kind(6, 8, **options)
    )
    if name != 'tuned':
        spread(module)
    module.double()
    extra = (
        dict(guidance=ClassifierGuidance(classify, 2.0))
        if name == 'guided'
        else {}
    )
    found = dict(keys=sorted(module.state_dict()))
    generator = torch.Generator().manual_seed(2)
    for step in range(2):
        student, teacher = (
            3 * torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape in shapes.values()
        )
        student.requires_grad_()
        module.zero_grad()
        output = module(student, teacher, **extra)
        distance = (output.student - output.teacher).square().mean()
        total = distance + sum(output.losses.values())
        total.backward()
        gradients = {
            key: float(p.grad.square().sum())
            for key, p in module.named_parameters()
            if p.grad is not None
        }
        found[f'step {step}'] = dict(
            student=float(output.student.detach().square().sum()),
            teacher=float(output.teacher.square().sum()),
            losses={k: float(v.detach()) for k, v in output.losses.items()},
            stats={k: float(v) for k, v in output.stats.items()},
            into_student=float(student.grad.square().sum()),
            gradients=gradients,
        )
    return found


def hashes():
    loss = LSHFeatureLoss(8, seed=3, num_hashes=16).double()
    generator = torch.Generator().manual_seed(2)
    found = dict(keys=sorted(loss.state_dict()))
    for step in range(3):
        student, teacher = torch.randn(
            2, 2, 8, 5, 7, generator=generator, dtype=torch.float64
        )
        student.requires_grad_()
        value = loss(student, teacher)
        value.backward()
        found[f'step {step}'] = dict(
            loss=float(value.detach()),
            into_student=float(student.grad.square().sum()),
        )
    return found


def assert_alike(found, golden, where=''):
    if isinstance(golden, dict):
        assert found.keys() == golden.keys(), where
        # An optimizer's state is kept by the order of the parameters.
        if where.endswith('/gradients'):
            assert list(found) == list(golden), where
        for key in golden:
            assert_alike(found[key], golden[key], f'{where}/{key}')
    elif isinstance(golden, float):
        assert found == pytest.approx(golden, rel=1e-9, abs=1e-15), where
    else:
        assert found == golden, where


@pytest.mark.parametrize('name', CASES)
def test_core_gives_the_golden_numbers(name):
    assert_alike(numbers(name), json.loads(PATH.read_text())[name])


def test_hash_loss_gives_the_golden_numbers():
    assert_alike(hashes(), json.loads(PATH.read_text())['hashes'])


if __name__ == '__main__':
    golden = {name: numbers(name) for name in CASES}
    golden['hashes'] = hashes()
    PATH.write_text(json.dumps(golden, indent=1) + '\n')
