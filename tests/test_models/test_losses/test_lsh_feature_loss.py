# Copyright (c) mmdiffkd contributors.
import copy

import pytest
import torch
import torch.nn.functional as F

from mmdiffkd.models import LSHFeatureLoss
from mmdiffkd.utils import UserError


def stream(iterations, n, seed=0):
    """Skewed features: the median of each hash is far from its mean."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.empty(n, 6).exponential_(generator=generator) ** 2
        for _ in range(iterations)
    ]


def test_codes_of_equal_features_agree_and_of_opposite_ones_disagree():
    torch.manual_seed(0)
    loss = LSHFeatureLoss(8, num_hashes=256).eval()
    feature = torch.randn(5, 8)
    assert torch.equal(loss.codes(feature), loss.codes(feature.clone()))
    assert torch.equal(loss.codes(feature), loss.codes(3 * feature))
    assert torch.equal(loss.codes(feature), ~loss.codes(-feature))


def test_the_share_of_differing_bits_is_the_angle():
    """What makes signs of random projections a hash of directions."""
    loss = LSHFeatureLoss(2, num_hashes=20000).eval()
    angle = torch.linspace(0, torch.pi, 7)
    feature = torch.stack([angle.cos(), angle.sin()], dim=1)
    codes = loss.codes(feature)
    share = (codes != codes[:1]).float().mean(dim=1)
    torch.testing.assert_close(share, angle / torch.pi, atol=0.02, rtol=0)


def test_loss_equals_the_formula():
    torch.manual_seed(0)
    loss = LSHFeatureLoss(
        8, 32, loss_weight=6.0, mse_weight=0.5, hash_weight=2.0
    ).double()
    s, t = torch.randn(2, 3, 8, 2, 2, dtype=torch.float64)
    loss(s, t)  # moves the bias
    loss.eval()
    expected = 0.0
    for n in range(3):
        for h in range(2):
            for w in range(2):
                p = torch.sigmoid(loss.weight @ s[n, :, h, w] + loss.bias)
                bit = (loss.weight @ t[n, :, h, w] + loss.bias) > 0
                expected += -torch.where(bit, p, 1 - p).log().mean() / 12
    expected = 6 * (0.5 * ((s - t) ** 2).mean() + 2 * expected)
    torch.testing.assert_close(loss(s, t), expected, rtol=1e-9, atol=1e-9)


def test_parts_can_be_switched_off():
    s, t = torch.randn(2, 4, 8, 3, 3)
    mse = LSHFeatureLoss(8, 32, hash_weight=0.0, loss_weight=2.0)
    torch.testing.assert_close(mse(s, t), 2 * F.mse_loss(s, t))
    assert int(mse.iteration) == 0, 'hashes are not computed for nothing'
    hashes = LSHFeatureLoss(8, 32, mse_weight=0.0)
    assert hashes(t.clone(), t) < hashes(-t, t)


def test_pooling_compares_one_vector_an_image():
    s, t = torch.randn(2, 4, 8, 3, 3)
    pooled, plain = (LSHFeatureLoss(8, 32, pool=p) for p in (True, False))
    torch.testing.assert_close(
        pooled(s, t), plain(s.mean(dim=(2, 3)), t.mean(dim=(2, 3)))
    )


@pytest.mark.parametrize('n', [1, 2, 64])
def test_the_bias_tracks_the_median_whatever_the_batch(n):
    loss = LSHFeatureLoss(6, num_hashes=40, momentum=0.002)
    batches = stream(3000 if n < 3 else 300, n)
    for batch in batches:
        loss(batch, batch)
    hashes = torch.cat(batches) @ loss.weight.T
    median, mean = hashes.median(dim=0).values, hashes.mean(0)
    spread = hashes.std(dim=0)
    error = ((-loss.bias - median) / spread).abs()
    assert error.mean() < 0.05
    assert error.mean() < 0.25 * ((mean - median) / spread).abs().mean()


def test_the_bias_follows_features_that_move():
    loss = LSHFeatureLoss(6, num_hashes=40)
    for shift in (0.0, 5.0):
        for batch in stream(400, 32):
            loss(batch + shift, batch + shift)
    hashes = (torch.cat(stream(400, 32)) + 5.0) @ loss.weight.T
    error = (-loss.bias - hashes.median(dim=0).values) / hashes.std(dim=0)
    assert error.abs().mean() < 0.1


def test_only_training_moves_the_bias():
    loss = LSHFeatureLoss(8, 32).eval()
    loss(*torch.randn(2, 4, 8))
    assert loss.bias.abs().sum() == 0 and int(loss.iteration) == 0


def test_gradient_reaches_the_student_alone():
    loss = LSHFeatureLoss(8, 32)
    s, t = (torch.randn(1, 8, requires_grad=True) for _ in range(2))
    loss(s, t).backward()
    assert s.grad.abs().sum() > 0 and t.grad is None
    assert not list(loss.parameters())


def test_w_is_frozen_the_same_for_a_seed_and_leaves_the_global_stream():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    a = LSHFeatureLoss(8, 32, seed=3)
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(1)
    b, c = LSHFeatureLoss(8, 32, seed=3), LSHFeatureLoss(8, 32, seed=4)
    assert torch.equal(a.weight, b.weight)
    assert not torch.equal(a.weight, c.weight)
    assert float(LSHFeatureLoss(64, 4096).weight.std()) == pytest.approx(
        1 / 8, rel=0.02
    )
    assert float(LSHFeatureLoss(64, 4096, std=0.06).weight.std()) == (
        pytest.approx(0.06, rel=0.02)
    )


def test_a_chosen_number_of_positions_is_hashed():
    loss = LSHFeatureLoss(8, 32, max_positions=10)
    seen = []
    loss._update = lambda hashes: seen.append(hashes.shape)
    loss(*torch.randn(2, 4, 8, 5, 5))
    loss(*torch.randn(2, 2, 8, 2, 2))
    assert seen == [(10, 32), (8, 32)]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_computes_in_float32(dtype):
    s, t = torch.randn(2, 4, 8, 3, 3)
    loss = LSHFeatureLoss(8, 64)
    plain = copy.deepcopy(loss)(s, t)
    with torch.autocast('cpu', dtype=dtype):
        cast = loss(s, t)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain)
    half = loss(300 * s.half(), 300 * t.half())
    assert torch.isfinite(half), 'squares of 300 overflow in float16'


def test_state_and_copies_go_on_alike():
    loss = LSHFeatureLoss(6, 16)
    for batch in stream(5, 8):
        loss(batch, batch)
    resumed = LSHFeatureLoss(6, 16, seed=9)
    resumed.load_state_dict(loss.state_dict())
    twins = [copy.deepcopy(loss), resumed]
    for batch in stream(5, 8, seed=1):
        for each in (loss, *twins):
            each(batch, batch)
    for twin in twins:
        for key, value in loss.state_dict().items():
            assert torch.equal(value, twin.state_dict()[key]), key


@pytest.mark.parametrize(
    'shapes, message',
    [
        (((2, 8), (3, 8)), r'\(2, 8\) and \(3, 8\)'),
        (((2, 9), (2, 9)), r'equal shape \(N, 8\)'),
        (((2, 5, 8), (2, 5, 8)), 'channels= is the width'),
    ],
)
def test_wrong_shapes_are_named(shapes, message):
    with pytest.raises(UserError, match=message):
        LSHFeatureLoss(8, 16)(*(torch.randn(shape) for shape in shapes))


@pytest.mark.parametrize(
    'options',
    [
        dict(num_hashes=0),
        dict(momentum=0.0),
        dict(std=-1.0),
        dict(max_positions=0),
        dict(mse_weight=-1.0),
        dict(mse_weight=0.0, hash_weight=0.0),
    ],
)
def test_impossible_numbers_are_refused(options):
    key, value = list(options.items())[-1]
    with pytest.raises(UserError, match=f'{key}={value}'):
        LSHFeatureLoss(8, **options)
