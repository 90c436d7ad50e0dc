# Copyright (c) mmdiffkd contributors.
"""Each step of a chain, against the equations and the connector itself."""

import pytest
import torch

from mmdiffkd.diffusion import (
    FeatureDiffusion,
    FeatureMimicking,
    PairedOutput,
    SelfDiffusion,
)
from mmdiffkd.diffusion.recorded_chain import record_pair

NAMES = ['student', 't = 400', 't = 300', 't = 200', 't = 100', 't = 0']


def features(channels=(4, 6), size=(5, 7), n=1):
    generator = torch.manual_seed(3)
    return [torch.randn(n, c, *size, generator=generator) for c in channels]


def record(core, student, teacher):
    """The record, and the very output that was recorded."""
    outputs = []

    def run():
        outputs.append(
            core(student, teacher, *noise(core))
            if not isinstance(core, FeatureMimicking)
            else core(student, teacher)
        )
        return outputs[0]

    recorded = record_pair(core.eval(), student, teacher, run)
    return recorded, outputs[0]


def noise(core):
    return [torch.Generator().manual_seed(5)]


def moved(core):
    """A model whose every weight has been trained a little."""
    torch.manual_seed(1)
    for parameter in core.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return core


@pytest.mark.parametrize('latent', [None, 8])
@pytest.mark.parametrize('prediction', ['noise', 'velocity'])
def test_the_ends_are_those_of_the_connector(latent, prediction):
    core = moved(
        FeatureDiffusion(
            4, 6, latent, recipe='tuned', prediction=prediction, seed=0
        )
    )
    recorded, output = record(core, *features())
    assert [s.name for s in recorded.stages] == [*NAMES, 'denoised']
    torch.testing.assert_close(recorded.stages[-1].compared, output.student)
    torch.testing.assert_close(recorded.teacher, output.teacher)
    assert recorded.teacher.shape[1] == (latent or 6)


def test_steps_are_those_of_ddim_with_the_predicted_noise():
    """Eq. 12 of DDIM, sample and noise each written out."""
    core = moved(FeatureDiffusion(4, 6, recipe='released', seed=0))
    recorded, _ = record(core, *features())
    samples = [stage.sample for stage in recorded.stages[1:]]
    alphas = core.schedule.alphas_cumprod[[400, 300, 200, 100, 0]].tolist()
    for clean, after, a, t in zip(
        samples, samples[1:], alphas, (400, 300, 200, 100, 0)
    ):
        x = clean * a**0.5
        with torch.no_grad():
            eps = core.denoiser(x, torch.tensor([t]))
        i = alphas.index(a)
        a_next = alphas[i + 1] if i < 4 else 1.0
        x0 = (x - (1 - a) ** 0.5 * eps) / a**0.5
        expected = a_next**0.5 * x0 + (1 - a_next) ** 0.5 * eps
        torch.testing.assert_close(
            after * a_next**0.5, expected, rtol=1e-4, atol=1e-4
        )


def test_noise_is_mixed_in_behind_the_student():
    core = FeatureDiffusion(4, 6, recipe='tuned', initial_gamma=0.5, seed=0)
    student, teacher = features()
    recorded, _ = record(core, student, teacher)
    start = core.schedule.alphas_cumprod[400].item() ** 0.5
    z = core.project(student)
    eps = core.draw(z, z, noise(core)[0]).student
    torch.testing.assert_close(recorded.stages[0].sample, z / start)
    torch.testing.assert_close(
        recorded.stages[1].sample, (0.5 * z + 0.5 * eps) / start
    )


def test_an_idle_chain_changes_nothing():
    core = FeatureDiffusion(
        4, 6, recipe='tuned', initial_gamma=1 - 1e-9, seed=0
    )
    recorded, _ = record(core, *features())
    for stage in recorded.stages[1:]:
        torch.testing.assert_close(
            stage.sample, recorded.stages[0].sample, rtol=1e-5, atol=1e-5
        )


def test_the_control_has_one_stage():
    core = FeatureMimicking(4, 6)
    student, teacher = features()
    recorded, output = record(core, student, teacher)
    (stage,) = recorded.stages
    torch.testing.assert_close(stage.compared, output.student)
    torch.testing.assert_close(
        core.output_projection(stage.sample), output.student
    )
    assert recorded.clean.square().mean().item() == pytest.approx(1)


def test_dskd_ends_at_its_virtual_teacher_and_is_held_against_the_teacher():
    core = moved(SelfDiffusion(4, 6, seed=0))
    recorded, output = record(core, *features())
    torch.testing.assert_close(recorded.stages[0].compared, output.student)
    torch.testing.assert_close(recorded.stages[-1].compared, output.teacher)
    torch.testing.assert_close(
        recorded.teacher * core.feature_scale.mean_square.sqrt(),
        features()[1],
    )


def test_a_chain_from_the_students_own_level():
    core = moved(
        FeatureDiffusion(
            4, 6, noise_matching=dict(type='StudentNoiseLevel'), seed=0
        )
    )
    core.noise_matching.correlation.fill_(1.0)  # starts, and stays, at 0
    recorded, output = record(core, *features())
    names = [stage.name for stage in recorded.stages]
    assert len(set(names)) == len(names) == 7
    torch.testing.assert_close(recorded.stages[-1].compared, output.student)


def test_vectors_are_maps_of_one_position():
    core = FeatureDiffusion(4, 6, denoiser=dict(type='MLPDenoiser'), seed=0)
    student, teacher = (f[..., 0, 0] for f in features(n=2))
    recorded, _ = record(core, student, teacher)
    assert {tuple(s.compared.shape) for s in recorded.stages} == {(2, 6, 1, 1)}


def test_of_other_connectors_the_sides_are_known():
    student, teacher = features((6, 6))
    recorded = record_pair(
        None, student, teacher, lambda: PairedOutput(2 * student, teacher)
    )
    assert len(recorded.stages) == 1
    assert torch.equal(recorded.stages[0].compared, 2 * student)


def test_no_hook_stays():
    core = FeatureDiffusion(4, 6, seed=0)
    record(core, *features())
    for part in (core.sampler, core.denoiser):
        assert not part._forward_hooks and not part._forward_pre_hooks
