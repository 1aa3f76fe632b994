"""Weights in eight bits: how far they are from what they were."""

import pytest
import torch

from kimi_vl.ops import experts
from kimi_vl.ops.quantised import Quantised, dequantised, quantised
from kimi_vl.ops.triton import routed_experts
from tests import interpreter
from tests.ops import formulas
from tests.ops.test_implementations import assert_near, limit, routed

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")


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
def test_rounding_in_blocks_is_rounding_at_once(kind, monkeypatch):
    weight = torch.randn(3, 7, 50)
    whole = quantised(weight, kind)
    for values in (50, 120, 10**6):  # one row, two, and all of them
        monkeypatch.setattr("kimi_vl.ops.quantised.BLOCK_VALUES", values)
        for found, expected in zip(quantised(weight, kind), whole, strict=True):
            assert found.shape == expected.shape
            assert torch.equal(found.view(torch.uint8), expected.view(torch.uint8))


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


@pytest.mark.skipif(interpreter.refusal() is not None and not GPU, reason=str(interpreter.refusal()))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("tokens", [1, 3, 20, 70, 600])
def test_a_mixture_of_experts_in_int8(tokens):
    """As vectors, as tiles with and without lists, with the shared experts along or beside, and written out for a prompt."""
    dtype = torch.bfloat16 if GPU else torch.float16
    (x, gate_up, down, indices, weights), _ = routed(tokens, experts=6, top_k=2, width=48, inner=24, dtype=dtype)
    shared = [torch.randn(48, 48, dtype=dtype) / 7 for _ in range(3)]
    residual = torch.randn(tokens, 48, dtype=dtype)
    x, indices, weights, residual = (a.to(DEVICE) for a in (x, indices, weights, residual))
    rounded = [quantised(weight.to(DEVICE), "int8") for weight in (gate_up, down, *shared)]
    arguments = (x, residual, *rounded[:2], indices, weights, tuple(rounded[2:]))
    exact = [dequantised(weight, torch.float64) for weight in rounded]
    expected = formulas.mixture(x, residual, *exact[:2], indices, weights, tuple(exact[2:]))
    tolerance = limit("bfloat16" if GPU else "float16")
    assert_near(routed_experts.mixture_triton(*arguments), expected, tolerance)
    assert_near(experts.mixture(*arguments), expected, tolerance)
