# Copyright (c) mmdiffkd contributors.
import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from helpers import reference
from torch import nn

from mmdiffkd.diffusion import (
    FeatureDiffusion,
    NoiseDraw,
    PairedOutput,
    SelfDiffusion,
)


def features(n=2, cs=12, ct=16, size=(5, 7), dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    return tuple(
        torch.randn(n, c, *size, generator=generator, dtype=dtype)
        for c in (cs, ct)
    )


def draw(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(11)
    return NoiseDraw(
        torch.randn(shape, generator=generator, dtype=dtype),
        torch.randn(shape, generator=generator, dtype=dtype),
        torch.randint(1000, shape[:1], generator=generator),
    )


def kd_loss(out):
    return F.mse_loss(out.student, out.teacher)


def reached(module, loss):
    """Names of the direct parts that a loss sends a gradient to."""
    parameters = dict(module.named_parameters())
    grads = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, allow_unused=True
    )
    return {
        name.split('.')[0]
        for name, grad in zip(parameters, grads)
        if grad is not None and grad.abs().sum() > 0
    }


@pytest.mark.parametrize('latent', [None, 8])
def test_all_three_losses_equal_the_literal_formulation(latent):
    torch.manual_seed(0)
    module = FeatureDiffusion(
        12, 16, latent_channels=latent, recipe='released'
    ).double()
    student, teacher = features(dtype=torch.float64)
    noise = draw((2, latent or 16, 5, 7))
    out = module(student, teacher, noise=noise)
    ours = [kd_loss(out), out.losses['loss_diff'], out.losses.get('loss_ae')]
    literal = reference.diffkd(copy.deepcopy(module), student, teacher, *noise)
    for a, b in zip(ours, literal):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('recipe', ['released', 'tuned'])
def test_gradients_equal_the_literal_formulation(recipe):
    torch.manual_seed(0)
    module = FeatureDiffusion(
        12,
        16,
        latent_channels=8,
        recipe=recipe,
        zero_init=False,
        kd_grad_to_denoiser=True,
    ).double()
    student, teacher = features(dtype=torch.float64)
    student, teacher = 3 * student + 1, 5 * teacher
    noise = draw((2, 8, 5, 7))
    grads = []
    for formulation in ('ours', 'literal'):
        x = student.clone().requires_grad_()
        module.zero_grad()
        if formulation == 'ours':
            out = module(x, teacher, noise=noise)
            losses = [kd_loss(out), *out.losses.values()]
        else:
            losses = reference.diffkd(
                module, x, teacher, *noise, tuned=recipe == 'tuned'
            )
        sum(losses).backward()
        grads.append([x.grad] + [p.grad for p in module.parameters()])
    for ours, literal in zip(*grads):
        torch.testing.assert_close(ours, literal, rtol=1e-10, atol=1e-10)


def test_each_loss_reaches_its_own_parameters_only():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, latent_channels=8, recipe='released')
    student, teacher = features()
    student.requires_grad_()
    out = module(student, teacher)
    assert reached(module, kd_loss(out)) == {
        'student_projection',
        'noise_matching',
        'denoiser',
        'output_projection',
    }
    assert reached(module, out.losses['loss_diff']) == {'denoiser'}
    assert reached(module, out.losses['loss_ae']) == {'autoencoder'}
    for name in ('loss_diff', 'loss_ae'):
        (grad,) = torch.autograd.grad(
            out.losses[name], student, retain_graph=True, allow_unused=True
        )
        assert grad is None, f'{name} must not train the student'
    assert not out.teacher.requires_grad


def test_no_loss_reaches_the_teacher():
    module = FeatureDiffusion(12, 16, latent_channels=8)
    student, teacher = features()
    teacher.requires_grad_()
    out = module(student, teacher)
    sum([kd_loss(out), *out.losses.values()]).backward()
    assert teacher.grad is None


def test_kd_gradient_can_be_kept_out_of_the_denoiser():
    torch.manual_seed(0)
    module = FeatureDiffusion(
        12, 16, recipe='released', kd_grad_to_denoiser=False
    )
    student, teacher = features()
    student.requires_grad_()
    out = module(student, teacher)
    assert 'denoiser' not in reached(module, kd_loss(out))
    assert 'denoiser' in reached(module, out.losses['loss_diff'])
    (grad,) = torch.autograd.grad(kd_loss(out), student)
    assert grad.abs().sum() > 0, 'it still flows through the denoiser'


def test_the_tuned_recipe_trains_each_part_with_its_loss():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, recipe='tuned')
    student, teacher = features()
    student.requires_grad_()
    for _ in range(2):  # the denoiser starts at zero: one step to wake it
        out = module(student, teacher)
        reach = reached(module, kd_loss(out))
        sum([kd_loss(out), *out.losses.values()]).backward()
        torch.optim.SGD(module.parameters(), 0.1).step()
    assert reach == {
        'student_projection',
        'noise_matching',
        'output_projection',
    }
    assert student.grad.abs().sum() > 0
    assert reached(module, module(student, teacher).losses['loss_diff']) == {
        'denoiser'
    }


@pytest.mark.parametrize('recipe', ['released', 'tuned'])
def test_checkpointing_changes_no_bit(recipe):
    torch.manual_seed(0)
    plain = FeatureDiffusion(12, 16, recipe=recipe)
    saving = copy.deepcopy(plain)
    saving.with_cp = True
    student, teacher = features()
    noise = draw((2, 16, 5, 7), torch.float32)
    calls = []
    # Before: the recomputation stops at the last tensor that is needed.
    saving.denoiser.register_forward_pre_hook(lambda *args: calls.append(1))
    for module in (plain, saving):
        out = module(student, teacher, noise=noise)
        (kd_loss(out) + out.losses['loss_diff']).backward()
    assert len(calls) == 2 * 6, 'each of the six evaluations is recomputed'
    for a, b in zip(plain.parameters(), saving.parameters()):
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize('kd_grad_to_denoiser', [True, False])
def test_checkpointing_counts_a_batch_once(kd_grad_to_denoiser):
    """Also where the graph is asked twice, as by the first iteration."""
    torch.manual_seed(0)
    plain = FeatureDiffusion(12, 16, kd_grad_to_denoiser=kd_grad_to_denoiser)
    saving = copy.deepcopy(plain)
    saving.with_cp = True
    buffers = dict(saving.named_buffers())
    student, teacher = features()
    student.requires_grad_()
    noise = draw((2, 16, 5, 7), torch.float32)
    for module in (plain, saving):
        out = module(student, teacher, noise=noise)
        loss = kd_loss(out) + out.losses['loss_diff']
        torch.autograd.grad(loss, student, retain_graph=True)
        loss.backward()
    assert plain.denoiser.layers[-1].num_batches_tracked == 6
    for key, value in plain.state_dict().items():
        assert torch.equal(value, saving.state_dict()[key]), key
    assert all(b is buffers[key] for key, b in saving.named_buffers())


@pytest.mark.slow
def test_checkpointing_inside_a_compiled_model():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, with_cp=True)
    student, teacher = features()
    noise = draw((2, 16, 5, 7), torch.float32)
    torch.compiler.reset()

    @torch.compile(backend='eager')
    def step():
        out = module(student, teacher, noise=noise)
        return kd_loss(out) + out.losses['loss_diff']

    step().backward()
    assert module.denoiser.layers[-1].num_batches_tracked == 6


class OfTheUser(FeatureDiffusion):
    """With the interface that `squared_error` had before its weights."""

    def squared_error(self, x, target):
        return (x - target).abs().mean()


def test_an_error_of_ones_own_needs_no_weights():
    student, teacher = features()
    out = OfTheUser(12, 16)(student, teacher)
    assert torch.isfinite(out.losses['loss_diff'])


def test_an_error_in_the_recomputation_leaves_the_statistics():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, with_cp=True)
    buffers = dict(module.named_buffers())
    loss = module.teacher_losses(features()[1])['loss_diff']
    last = module.denoiser.layers[-2]
    last.register_forward_pre_hook(lambda *args: {}['no such key'])
    with pytest.raises(KeyError, match='no such key'):
        loss.backward()
    assert all(b is buffers[key] for key, b in module.named_buffers())


@pytest.mark.parametrize('recipe', ['released', 'tuned'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_stays_finite_for_50_iterations(dtype, recipe):
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, latent_channels=8, recipe=recipe)
    optimizer = torch.optim.SGD(module.parameters(), 0.01)
    student, teacher = features(n=2, size=(4, 4))
    for i in range(50):
        with torch.autocast('cpu', dtype=dtype):
            # Recorded features are half precision under AMP.
            out = module(student.to(dtype), 3 * teacher.to(dtype))
            losses = [kd_loss(out), *out.losses.values()]
        assert out.student.dtype == out.teacher.dtype == torch.float32
        total = sum(losses)
        assert torch.isfinite(total), f'iteration {i}'
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(torch.isfinite(p).all() for p in module.parameters())


def test_gamma_near_one_learns_under_bfloat16():
    module = FeatureDiffusion(12, 16, recipe='tuned')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = module(*features(n=2, size=(4, 4)))
        kd_loss(out).backward()
    assert 0.99 < out.stats['gamma_mean'] < 1
    classifier = module.noise_matching.classifier
    assert (classifier.bias.grad != 0).all()


def test_the_distance_fades_in_and_remembers_where_it_was():
    def gradient(module):
        module.zero_grad()
        out = module(*data, noise=noise)
        kd_loss(out).backward()
        return kd_loss(out).detach(), module.student_projection.weight.grad

    data = features(n=2, size=(4, 4))
    torch.manual_seed(0)
    plain = FeatureDiffusion(12, 16).eval()
    noise = plain.draw(data[1], data[1], torch.Generator().manual_seed(1))
    module = FeatureDiffusion(12, 16, kd_warmup_iters=4).eval()
    module.load_state_dict(plain.state_dict(), strict=False)
    full, expected = gradient(plain)
    for i in (0, 1, 2):
        module.fade_in.train()
        loss, got = gradient(module)
        assert torch.equal(loss, full), 'the log shows the distance as it is'
        torch.testing.assert_close(got, expected * (i + 1) / 5)
    resumed = FeatureDiffusion(12, 16, kd_warmup_iters=4).eval()
    resumed.load_state_dict(module.state_dict())
    torch.testing.assert_close(gradient(resumed)[1], expected * 4 / 5)
    module.fade_in.train()
    gradient(module)
    for _ in range(2):
        assert torch.equal(gradient(module)[1], expected)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(kd_warmup_iters=-1), 'kd_warmup_iters'),
        (dict(norm_cfg=dict(type='GN', num_groups=-3)), 'positive integer'),
        (
            dict(norm_cfg=dict(type='BN', affine=False), zero_init=True),
            'zero_init',
        ),
        (dict(token_shape=(0, 4)), 'token_shape'),
        (dict(num_class_tokens=-1), 'num_class_tokens'),
        (dict(autoencoder_loss_weight=-1), 'autoencoder_loss_weight'),
        (dict(diffusion_loss_weight=float('nan')), 'diffusion_loss_weight'),
        (dict(latent_channels=0), 'latent_channels must be at least 1, got 0'),
        (dict(seed=-1), 'seed'),
        (dict(normalize=dict(num_iters=0)), 'num_iters must be at least 1'),
        (dict(autoencoder={}), 'autoencoder is given and latent_channels'),
        (dict(recipe='tuned', norm_cfg=None), 'student_norm=False'),
    ],
)
def test_values_out_of_range_are_refused_at_build(options, message):
    with pytest.raises(ValueError, match=message):
        FeatureDiffusion(8, 8, **options)


@pytest.mark.parametrize('vectors', [False, True])
def test_a_batch_of_one_works(vectors):
    if vectors:
        module = FeatureDiffusion(10, 10, denoiser=dict(type='MLPDenoiser'))
        out = module(torch.randn(1, 10), torch.randn(1, 10))
        assert out.student.shape == out.teacher.shape == (1, 10)
    else:
        module = FeatureDiffusion(12, 16)
        out = module(*features(n=1, size=(1, 1)))
        assert out.student.shape == (1, 16, 1, 1)
    (kd_loss(out) + out.losses['loss_diff']).backward()


@pytest.mark.parametrize('norm', ['BN', 'GN'])
def test_ten_logits_train_the_student_under_each_norm(norm):
    torch.manual_seed(0)
    module = FeatureDiffusion(
        10,
        10,
        denoiser=dict(type='MLPDenoiser'),
        recipe='tuned',
        norm_cfg=dict(type=norm),
    )
    student = torch.randn(8, 10, requires_grad=True)
    kd_loss(module(student, 3 * torch.randn(8, 10))).backward()
    assert student.grad.abs().max() > 1e-3


def test_a_paired_output_has_stats_without_gradient():
    out = FeatureDiffusion(12, 16)(*features())
    assert isinstance(out, PairedOutput)
    assert 0 < out.stats['gamma_mean'] < 1
    teacher = features()[1]
    torch.testing.assert_close(
        out.stats['feature_scale'], teacher.square().mean().sqrt()
    )
    assert not any(v.requires_grad for v in out.stats.values())
    assert not any('loss' in name for name in out.stats)


def test_zero_init_starts_at_predicting_nothing():
    student, teacher = features(n=8, size=(16, 16))
    out = FeatureDiffusion(12, 16, recipe='tuned')(student, teacher)
    # The mean square of Gaussian noise.
    assert float(out.losses['loss_diff'].detach()) == pytest.approx(
        1, abs=0.05
    )


@pytest.mark.parametrize(
    'prediction, start', [('noise', 2.2729), ('velocity', 0.8542)]
)
def test_zero_init_multiplies_the_student_by_one_number(prediction, start):
    module = FeatureDiffusion(
        12, 16, recipe='tuned', prediction=prediction, zero_init=True
    )
    x = torch.randn(2, 16, 5, 7)
    torch.testing.assert_close(module.sample(x), start * x, rtol=1e-4, atol=0)


@pytest.mark.parametrize('core', [SelfDiffusion, FeatureDiffusion])
def test_a_predicted_sample_does_not_start_at_zero(core):
    """Where it would end at 0, whatever the student."""
    torch.manual_seed(0)
    tuned = {} if core is SelfDiffusion else dict(recipe='tuned')
    module = core(12, 16, prediction='clean', **tuned)
    x = torch.randn(2, 16, 5, 7, requires_grad=True)
    denoised = module.sample(x)
    (denoised * torch.randn(x.shape)).sum().backward()
    assert denoised.square().mean() > 0.1 and x.grad.abs().max() > 1e-2
    with pytest.raises(ValueError, match="zero_init=True.*'clean'.*leave"):
        core(12, 16, prediction='clean', zero_init=True, **tuned)


def test_loss_weights_scale_their_loss():
    torch.manual_seed(0)
    one = FeatureDiffusion(12, 16, latent_channels=8)
    three = copy.deepcopy(one)
    three.diffusion_loss_weight, three.autoencoder_loss_weight = 3.0, 0.5
    noise = draw((2, 8, 5, 7), torch.float32)
    a, b = (m(*features(), noise=noise).losses for m in (one, three))
    torch.testing.assert_close(3 * a['loss_diff'], b['loss_diff'])
    torch.testing.assert_close(0.5 * a['loss_ae'], b['loss_ae'])


class HalfDenoiser(nn.Module):
    def __init__(self, channels, **kwargs):
        super().__init__()

    def forward(self, x, timesteps):
        return 0.5 * x


def test_parts_are_replaceable_by_config_and_by_module():
    from mmdiffkd.registry import MODELS

    MODELS.register_module(module=HalfDenoiser, force=True)
    module = FeatureDiffusion(
        12,
        16,
        denoiser=dict(type='HalfDenoiser'),
        sampler=dict(num_inference_steps=3),
        schedule=dict(num_train_timesteps=100),
        noise_matching=dict(initial_gamma=0.9),
    )
    assert isinstance(module.denoiser, HalfDenoiser)
    assert module.sampler.timesteps == [32, 16, 0]
    out = module(*features())
    assert float(out.stats['gamma_mean']) == pytest.approx(0.9)


def test_tokens_become_maps_only_with_a_stated_shape():
    tokens = torch.randn(2, 1 + 6, 12), torch.randn(2, 1 + 6, 16)
    module = FeatureDiffusion(12, 16, token_shape=(2, 3), num_class_tokens=1)
    assert module(*tokens).student.shape == (2, 16, 2, 3)
    with pytest.raises(ValueError, match='7 tokens .* set token_shape'):
        FeatureDiffusion(12, 16)(*tokens)


def test_tokens_of_square_images_of_any_size_become_maps():
    module = FeatureDiffusion(
        12, 16, token_shape='square', num_class_tokens=1, resize='bilinear'
    )
    for side in (2, 3):
        tokens = torch.arange(1.0 + side * side)[None, :, None]
        out = module.as_maps(
            torch.randn(2, 12, 4, 4), tokens.expand(2, -1, 16)
        )
        assert out[1].shape == (2, 16, side, side)
        assert out[1][0, 0].flatten().tolist() == tokens[0, 1:, 0].tolist()
    with pytest.raises(ValueError, match="6 tokens .* token_shape='square'"):
        module(torch.randn(2, 12, 4, 4), torch.randn(2, 7, 16))


def test_wrong_channels_name_the_shape_and_the_key():
    student, teacher = features()
    with pytest.raises(
        ValueError,
        match=r'student feature has 12 channels '
        r'\(shape \(2, 12, 5, 7\)\), but student_channels=8',
    ):
        FeatureDiffusion(8, 16)(student, teacher)
    with pytest.raises(ValueError, match='set teacher_channels=16'):
        FeatureDiffusion(12, 8)(student, teacher)


def test_wrong_sizes_name_both_shapes_and_the_option():
    student = torch.randn(2, 12, 4, 4)
    teacher = features()[1]
    with pytest.raises(
        ValueError,
        match=r'\(2, 12, 4, 4\).*\(2, 16, 5, 7\)'
        r".*resize='bilinear'",
    ):
        FeatureDiffusion(12, 16)(student, teacher)
    out = FeatureDiffusion(12, 16, resize='bilinear')(student, teacher)
    assert out.student.shape == teacher.shape
    # Bilinear interpolation to one pixel reads the middle and nothing else.
    with pytest.raises(ValueError, match="resize='area'"):
        FeatureDiffusion(12, 16)(student, teacher[:, :, :1, :1])


def test_a_vector_becomes_the_map_that_it_is_resized_to():
    module = FeatureDiffusion(12, 16, resize='nearest')
    for size in ((5, 7), (1, 1)):
        out = module(torch.randn(2, 12), torch.randn(2, 16, *size))
        expected = (2, 16) if size == (1, 1) else (2, 16, *size)
        assert out.student.shape == out.teacher.shape == expected


def test_an_unknown_mode_of_resizing_is_refused_at_build():
    with pytest.raises(
        ValueError,
        match=r'resize must be None or one of '
        r"\['nearest'.*got 'bilinaer'",
    ):
        FeatureDiffusion(8, 8, resize='bilinaer')


def test_unknown_recipe_names_the_known():
    with pytest.raises(ValueError, match="'relased' is unknown.*released"):
        FeatureDiffusion(12, 16, recipe='relased')


def test_normalize_feeds_the_diffusion_model_unit_variance():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, normalize=True)
    student, teacher = features()
    seen = []
    module.denoiser.register_forward_pre_hook(
        lambda m, args: seen.append(args[0])
    )
    noise = draw((2, 16, 5, 7), torch.float32)
    out = module(student, 7 * teacher, noise=noise)
    scale = (7 * teacher).square().mean().sqrt()
    torch.testing.assert_close(out.stats['feature_scale'], scale)
    expected = module.schedule.add_noise(
        7 * teacher / scale, noise.teacher, noise.timesteps
    )
    torch.testing.assert_close(seen[-1], expected)
    assert torch.equal(out.teacher, 7 * teacher), 'the target stays raw'


def test_large_student_features_are_brought_to_size_and_small_ones_left():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16, recipe='tuned')
    seen = []
    module.noise_matching.register_forward_pre_hook(
        lambda m, args: seen.append(args[0])
    )
    student, teacher = features(n=4)
    with torch.no_grad():
        raw = module.student_projection(student)
        large = float(raw.std(dim=(0, 2, 3)).mean())
        for factor in (1e3, 1e-3):
            module(factor * student, teacher)
    assert float(seen[0].std()) == pytest.approx(1, abs=0.02)
    assert float(seen[1].std()) == pytest.approx(1e-3 * large, rel=0.02)


def last_distance(**options):
    """Distance behind 60 steps of SGD, as a share of doing nothing."""
    torch.manual_seed(0)
    module = FeatureDiffusion(32, 32, recipe='tuned', **options)
    student = nn.Conv2d(8, 32, 3, padding=1)
    inputs = torch.randn(2, 8, 16, 16)
    teacher = 20 * nn.Conv2d(8, 32, 3, padding=1)(inputs).detach()
    optimizer = torch.optim.SGD(
        [*student.parameters(), *module.parameters()], 0.02, momentum=0.9
    )
    for _ in range(60):
        out = module(5 * student(inputs), teacher)
        optimizer.zero_grad()
        (5 * kd_loss(out) + sum(out.losses.values())).backward()
        optimizer.step()
    return float(kd_loss(out).detach() / teacher.square().mean())


def test_large_features_do_not_diverge_under_the_rate_of_a_detector():
    assert last_distance() < 0.5
    assert not last_distance(student_norm=False) < 1, 'the norm is why'


def test_the_feature_scale_is_an_average_that_comes_to_rest():
    module = FeatureDiffusion(12, 16, normalize=True)
    module.feature_scale.num_iters = 3
    student, teacher = features()
    for factor in (1, 2, 3, 100):
        out = module(student, factor * teacher)
    mean_square = (1 + 4 + 9) / 3 * teacher.square().mean()
    torch.testing.assert_close(out.stats['feature_scale'], mean_square.sqrt())
    resumed = FeatureDiffusion(12, 16, normalize=True)
    resumed.load_state_dict(module.state_dict())
    resumed.feature_scale.num_iters = 3
    resumed(student, 100 * teacher)
    assert torch.equal(
        resumed.feature_scale.mean_square, module.feature_scale.mean_square
    )


def test_released_weights_map_one_to_one_by_order():
    """Convolutions and norms in the order of the paper's blocks."""
    denoiser = FeatureDiffusion(256, 256).denoiser
    shapes = [
        tuple(p.shape)
        for n, p in denoiser.named_parameters()
        if 'time_embedding' not in n
    ]
    block = [
        (64, 256, 1, 1),
        (64,),
        (64,),
        (64,),
        (64, 64, 3, 3),
        (64,),
        (64,),
        (64,),
        (256, 64, 1, 1),
        (256,),
        (256,),
        (256,),
    ]
    assert shapes == block * 2 + [(256, 256, 1, 1), (256,), (256,), (256,)]
    assert (
        sum(
            p.numel()
            for n, p in denoiser.named_parameters()
            if 'time_embedding' not in n
        )
        == 207_872
    )
    # The released embedding has 280 rows that no timestep ever uses.
    state = denoiser.state_dict()
    state['time_embedding.weight'] = torch.randn(1280, 256)
    denoiser.load_state_dict(state)
    assert torch.equal(
        denoiser.time_embedding.weight, state['time_embedding.weight'][:1000]
    )


def test_copies_and_pickles_continue_the_noise():
    torch.manual_seed(0)
    module = FeatureDiffusion(12, 16)
    module(*features())
    twins = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    expected = module(*features()).losses['loss_diff']
    for twin in twins:
        assert torch.equal(twin(*features()).losses['loss_diff'], expected)
