"""RMSNorm, rotary positions and the router, against their formulas and the official order of rounding."""

import math

import pytest
import torch

from kimi_vl.ops import rms_norm, rotary_angles, rotate_pairs
from kimi_vl.ops.experts import route


def test_rms_norm_rounds_to_bf16_before_the_weight_is_applied():
    x, weight = (torch.randn(64, 128) * 3).bfloat16(), torch.randn(128).bfloat16()
    x64 = x.double()
    normalised = (x64 / (x64.square().mean(-1, keepdim=True) + 1e-5).sqrt()).bfloat16()
    official = weight * normalised
    in_one_go = (weight.double() * (x64 / (x64.square().mean(-1, keepdim=True) + 1e-5).sqrt())).bfloat16()
    assert not torch.equal(official, in_one_go), "the two orders must differ for this test to see the difference"
    assert torch.equal(rms_norm(x, weight, 1e-5), official)


def test_rms_norm_of_zeros_is_zero_and_of_tiny_values_is_set_by_the_epsilon():
    weight = torch.full((8,), 2.0)
    assert rms_norm(torch.zeros(3, 8), weight, 1e-6).eq(0.0).all()
    tiny = torch.full((1, 8), 1e-3)  # its mean square is the epsilon
    assert rms_norm(tiny, weight, 1e-6).tolist()[0] == pytest.approx([2 / math.sqrt(2)] * 8, rel=1e-5)


def test_rotary_angles_are_position_times_falling_frequencies():
    angles = rotary_angles(torch.tensor([0, 1, 131071]), 64, 800000.0)
    assert angles.dtype == torch.float32
    assert angles.shape == (3, 32)
    for row, position in enumerate((0, 1, 131071)):
        expected = [position * 800000.0 ** (-2 * j / 64) for j in range(32)]
        assert angles[row].tolist() == pytest.approx(expected, rel=3e-6)


def test_rotate_pairs_is_multiplication_of_adjacent_pairs_by_a_complex_number():
    x, angles = torch.randn(5, 3, 12), torch.randn(5, 6)
    expected = torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * torch.polar(
        torch.ones(5, 1, 6).double(), angles[:, None].double()
    )
    torch.testing.assert_close(
        rotate_pairs(x, angles.cos(), angles.sin()).double(), torch.view_as_real(expected).flatten(-2), rtol=0, atol=1e-6
    )


def test_rotate_pairs_in_bf16_computes_in_fp32_when_the_tables_are_fp32():
    x, angles = torch.randn(50, 2, 8).bfloat16(), torch.rand(50, 4) * 6
    turned = rotate_pairs(x, angles.cos(), angles.sin())
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate_pairs(x.float(), angles.cos(), angles.sin()).bfloat16())


def router_inputs():
    x, weight = torch.randn(200, 16), torch.randn(10, 16)
    return x, weight, torch.randn(10) * 0.3


def test_the_bias_of_the_router_chooses_and_the_unbiased_scores_weigh():
    x, weight, bias = router_inputs()
    indices, weights = route(x, weight, bias, 3, renormalise=True, scaling_factor=2.446)
    scores = torch.sigmoid(x.double() @ weight.double().T)
    for token in range(200):
        best = sorted(range(10), key=lambda expert: -(scores[token, expert] + bias[expert].double()))[:3]
        assert sorted(indices[token].tolist()) == sorted(best)
        total = sum(scores[token, expert] for expert in best)
        expected = [2.446 * float(scores[token, expert] / total) for expert in indices[token].tolist()]
        assert weights[token].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_weights_of_a_token_sum_to_the_scaling_factor_only_when_renormalised():
    x, weight, bias = router_inputs()
    _, renormalised = route(x, weight, bias, 4, renormalise=True, scaling_factor=1.5)
    indices, plain = route(x, weight, bias, 4, renormalise=False, scaling_factor=1.5)
    torch.testing.assert_close(renormalised.sum(-1), torch.full((200,), 1.5))
    torch.testing.assert_close(plain, 1.5 * torch.sigmoid(x @ weight.T).gather(1, indices))


def test_the_router_stays_fp32_for_bf16_activations():
    x, weight, bias = router_inputs()
    indices, weights = route(x.bfloat16(), weight, bias, 3, renormalise=True, scaling_factor=2.446)
    assert weights.dtype == torch.float32
    expected_indices, expected_weights = route(x.bfloat16().float(), weight, bias, 3, renormalise=True, scaling_factor=2.446)
    assert torch.equal(indices, expected_indices)
    assert torch.equal(weights, expected_weights)


def test_scores_that_underflow_to_zero_give_finite_weights():
    x, weight = torch.full((2, 4), 100.0), torch.full((3, 4), -100.0)
    _, weights = route(x, weight, torch.zeros(3), 2, renormalise=True, scaling_factor=2.446)
    assert weights.eq(0.0).all()
