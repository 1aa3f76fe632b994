"""Weights in eight bits: how far they are from what they were."""

import pytest
import torch

from kimi_vl.ops.quantised import Quantised, dequantised, quantised


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_every_weight_is_near_what_it_was(kind):
    weight = torch.randn(3, 7, 50) * torch.logspace(-6, 3, 21).view(3, 7, 1)
    found = dequantised(quantised(weight, kind), torch.float32)
    largest = weight.abs().amax(-1, keepdim=True)
    # int8: half a step of 1/127 of the row's largest. fp8: half a unit of a 3-bit mantissa, and below 2^-6 of its scale half of 2^-9.
    bound = largest / 254 if kind == "int8" else torch.maximum(weight.abs() / 16, largest / 448 * 2**-10)
    assert ((found - weight).abs() <= bound * 1.0001).all()
    assert (found.abs().amax(-1) - largest[..., 0]).abs().max() <= 1e-4 * largest.max()


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_rows_of_zeros_and_weights_of_bf16(kind):
    weight = torch.randn(4, 16).bfloat16()
    weight[2] = 0.0
    rounded = quantised(weight, kind)
    assert rounded.scales.dtype == torch.float32
    assert rounded.scales[2] == 1.0
    assert torch.equal(dequantised(rounded, torch.bfloat16)[2], weight[2])
    assert rounded.values.element_size() == 1


def test_what_was_never_quantised_stays_itself():
    weight = torch.randn(3, 4)
    assert dequantised(weight, torch.bfloat16) is weight
    assert isinstance(quantised(weight, "int8"), Quantised)
