"""The network in bf16, the dtype of the released weights: near fp32, with fp32 where the official code keeps it."""

import pytest
import torch
import torch.nn.functional as F

from kimi_vl.model.patches import PatchLayout
from kimi_vl.model.tokens import TokenLayout
from tests import tolerances
from tests.configs import TINY
from tests.parity.networks import Case

GRIDS = [(6, 10), (4, 8), (2, 2), (8, 8)]


def mean_kl(expected, actual):
    p, q = expected.log_softmax(-1), actual.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1).mean().item()


def logits_and_experts(model, ids):
    """Every token as a sequence of its own: logits [T, W] and its experts, sorted [layers, T, K]."""
    hidden, chosen = model.language_model.model(model.embed(ids, None), TokenLayout.of([1] * len(ids)), model.ops)
    return model.language_model.lm_head(hidden).float(), torch.stack(chosen).sort(-1).values


@pytest.mark.parametrize("seed", range(4))
def test_bf16_stays_near_fp32(seed):
    case = Case(TINY, GRIDS, seed=seed)
    full, half = case.model(), case.model(torch.bfloat16)
    features, rounded = (model.image_features(case.pixel_values, GRIDS) for model in (full, half))
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - features).norm() <= tolerances.BF16_FEATURES_RELATIVE * features.norm()
    expected, actual = case.logits(full), case.logits(half)
    assert actual.dtype == torch.float32
    assert (expected.argmax(-1) == actual.argmax(-1)).float().mean() >= tolerances.BF16_TOP1_AGREEMENT
    assert mean_kl(expected, actual) <= tolerances.BF16_MEAN_KL


@pytest.mark.parametrize("seed", range(4))
def test_tokens_that_keep_their_experts_in_bf16_keep_their_logits(seed):
    case = Case(TINY, [], seed=seed)
    ids = torch.arange(0, 400, 7)
    expected, experts = logits_and_experts(case.model(), ids)
    actual, experts_in_bf16 = logits_and_experts(case.model(torch.bfloat16), ids)
    same = (experts == experts_in_bf16).all(-1).all(0)
    assert same.float().mean() >= 0.9
    assert (expected - actual)[same].abs().max() <= tolerances.BF16_SAME_EXPERTS_LOGITS


def test_only_the_router_is_fp32_in_a_bf16_network():
    half = Case(TINY, GRIDS).model(torch.bfloat16)
    kinds = {name: parameter.dtype for name, parameter in half.named_parameters()}
    assert {name for name, kind in kinds.items() if kind != torch.bfloat16} == {
        f"language_model.model.layers.{layer}.mlp.gate.{part}" for layer in (1, 2) for part in ("weight", "e_score_correction_bias")
    }
    x = torch.randn(5, 64).bfloat16()
    _, weights = half.language_model.model.layers[1].mlp.gate(x, half.ops)
    assert weights.dtype == torch.float32


def test_the_position_table_is_interpolated_in_fp32_and_rounded_once():
    half = Case(TINY, GRIDS).model(torch.bfloat16)
    table = half.vision_tower.patch_embed.pos_emb
    ours = table(PatchLayout.of([(6, 10)], (8, 8)))
    exact = F.interpolate(table.weight.double().permute(2, 0, 1)[None], size=(6, 10), mode="bicubic")[0].flatten(1).T
    # One rounding is half a unit in the last place, at most 2^-8 of the value; the rest is fp32 noise.
    assert ((ours.double() - exact).abs() <= exact.abs() * 2**-8 + 1e-6).all()
    assert ours.dtype == torch.bfloat16


def test_the_vision_rotary_is_computed_in_fp32():
    half = Case(TINY, GRIDS).model(torch.bfloat16)
    angles = half.vision_tower.encoder.rotary_angles(PatchLayout.of([(6, 512)], (8, 8)))
    assert angles.dtype == torch.float32
    assert angles.max() == 511.0  # bf16 would have rounded the last column to 512


def test_decode_in_bf16_follows_the_prefill():
    case = Case(TINY, GRIDS, seed=1)
    half = case.model(torch.bfloat16)
    cache = half.new_cache(80)
    assert cache.rows_NSZ.dtype == torch.bfloat16
    half.step(case.input_ids, cache, half.image_features(case.pixel_values, GRIDS))
    extra = torch.tensor([7, 300, 12, 12, 499, 0])
    stepped = torch.stack([half.step(token[None], cache) for token in extra])
    whole = half(torch.cat((case.input_ids, extra)), case.pixel_values, GRIDS)[-6:]
    assert mean_kl(whole, stepped) <= tolerances.BF16_MEAN_KL
    assert stepped.dtype == torch.float32
