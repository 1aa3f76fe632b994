"""The count of floating-point operations behind the MFU."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import kimi_vl
from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.training.flops import FlopCounter, active_values, peak_flops
from tests.training.test_trainer import CONFIG, batch_number, trainer

NANO = Path(kimi_vl.__file__).parent / "checkpoint" / "nano"


def test_the_linear_part_equals_what_torch_counts():
    """Torch's counter sees the padding and every expert (training runs them all), so both are taken out of the comparison."""
    config = dataclasses.replace(CONFIG, text_config=dataclasses.replace(CONFIG.text_config, n_routed_experts=2, num_experts_per_tok=2))
    model = KimiVLForConditionalGeneration(config, device="meta", dtype=torch.float32)
    counter = FlopCounter(model)
    rows = 7
    with FlopCounterMode(display=False) as torch_counter:
        for layer in model.vision_tower.modules():
            if isinstance(layer, torch.nn.Linear):
                layer(torch.empty(rows, layer.in_features, device="meta"))
        model.vision_tower.patch_embed.proj(torch.empty(rows, 3, 14, 14, device="meta"))
    assert torch_counter.get_total_flops() == 2 * rows * counter.per_patch


def test_the_size_of_nano_is_the_published_one():
    config = dataclasses.replace(KimiVLConfig.from_file(NANO / "config.json"), quantization=None)
    model = KimiVLForConditionalGeneration(config, device="meta", dtype=torch.float32)
    active = active_values(model.language_model.model, config)
    text = config.text_config
    routed = 7 * text.n_routed_experts * 3 * text.hidden_size * text.moe_intermediate_size
    everything = sum(p.numel() for name, p in model.language_model.model.named_parameters() if p.ndim > 1 and "embed_tokens" not in name)
    assert everything - active == routed * (text.n_routed_experts - text.num_experts_per_tok) // text.n_routed_experts


def test_attention_grows_with_the_square_of_each_sequence_and_padding_counts_nothing():
    batch = batch_number(0)
    counter = FlopCounter(trainer().network.model)
    lengths = batch.token_cu_seqlens.diff()[batch.token_cu_seqlens[1:] <= batch.real_tokens].double()
    patches = batch.image_cu_seqlens.diff()[batch.image_cu_seqlens[1:] <= batch.real_patches].double()
    vision, text = CONFIG.vision_config, CONFIG.text_config
    linear = 2 * (
        float(batch.real_patches) * counter.per_patch
        + float(batch.real_patches) / 4 * counter.per_merged
        + float(batch.real_tokens) * counter.per_token
        + int((batch.weights_N > 0).sum()) * counter.per_learned
    )
    attention = float((patches**2).sum()) * 4 * vision.num_hidden_layers * vision.hidden_size
    attention += float((lengths**2).sum()) * text.num_hidden_layers * text.num_attention_heads * (text.qk_head_dim + text.v_head_dim)
    assert float(counter.count(batch)) == pytest.approx(3 * (linear + attention))


def test_no_limit_is_claimed_for_a_cpu():
    assert peak_flops(torch.device("cpu")) is None
