"""Per-row int8 against float64 arithmetic."""

import pytest
import torch

from kimi_vl.checkpoint.int8 import dequantize, quantize


def weights(*shape: int, seed: int = 0, spread: bool = True) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator)
    if spread:  # rows of very different size: what a per-tensor scale would destroy
        values *= 10.0 ** torch.linspace(-6, 6, shape[0]).view(-1, *[1] * (len(shape) - 1))
    return values


@pytest.mark.parametrize("shape", [(64, 48), (16, 3, 14, 14), (5, 1)])
def test_every_value_is_within_half_a_step_of_its_row(shape):
    weight = weights(*shape)
    quantized, scale = quantize(weight)
    assert quantized.dtype == torch.int8
    assert quantized.shape == weight.shape
    assert scale.dtype == torch.float32
    assert scale.shape == shape[:1]
    step = (weight.double().flatten(1).abs().amax(1) / 127).view(-1, *[1] * (len(shape) - 1))
    error = (dequantize(quantized, scale).double() - weight.double()).abs()
    assert (error <= 0.5 * step * (1 + 2**-16)).all()


def test_the_error_of_a_normal_row_is_under_one_percent_of_its_deviation():
    weight = weights(256, 320, spread=False)
    error = dequantize(*quantize(weight)) - weight
    assert 0.004 < error.std() / weight.std() < 0.009


def test_the_largest_value_of_every_row_is_127_and_minus_128_is_never_used():
    quantized, _ = quantize(weights(512, 33))
    assert (quantized.int().abs().amax(1) == 127).all()
    assert quantized.min() >= -127


@pytest.mark.parametrize("seed", range(5))
def test_quantising_a_dequantised_weight_gives_the_same_bits(seed):
    quantized, scale = quantize(weights(4000, 17, seed=seed))
    again, scale_again = quantize(dequantize(quantized, scale))
    assert torch.equal(again, quantized)
    assert torch.equal(scale_again.view(torch.int32), scale.view(torch.int32))


def test_products_of_int8_and_scale_are_exact():
    quantized, scale = quantize(weights(1000, 64))
    assert torch.equal(dequantize(quantized, scale).double(), quantized.double() * scale.double()[:, None])


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-38, -1e-37])
def test_rows_too_small_to_scale_become_zero(value):
    weight = torch.tensor([[value, 0.0], [2.0, -1.0]])
    quantized, scale = quantize(weight)
    assert quantized.tolist() == [[0, 0], [127, -64]] or quantized.tolist() == [[0, 0], [127, -63]]
    assert scale[0] == 0
    assert dequantize(quantized, scale)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_weights_are_quantised_as_their_float32_values(dtype):
    weight = weights(64, 32, spread=False).to(dtype)
    narrow, wide = quantize(weight), quantize(weight.float())
    assert torch.equal(narrow[0], wide[0])
    assert torch.equal(narrow[1], wide[1])


@pytest.mark.parametrize("shape", [(64, 32), (3001, 700), (2, 3, 14, 14)])  # the second takes three blocks
def test_dequantising_into_bfloat16_rounds_once(shape):
    quantized, scale = quantize(weights(*shape))
    target = torch.full(shape, torch.nan, dtype=torch.bfloat16)
    assert dequantize(quantized, scale, out=target) is target
    exact = quantized.double() * scale.double().view(-1, *[1] * (len(shape) - 1))
    assert torch.equal(target, exact.to(torch.bfloat16))
