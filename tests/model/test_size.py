"""The full-size network, built without memory: the published parameter counts and the official tensors (MODEL_SPEC §2)."""

import math
import re
from collections import Counter

import pytest
import torch

from kimi_vl.checkpoint.layout import checkpoint_layout
from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.configs import OFFICIAL
from tests.parity.tiny_reference import tensor_shapes

CONFIG = KimiVLConfig.from_dict(OFFICIAL)

# The specification's listing with block, layer and expert numbers replaced by N and E: shape and how many there are.
LISTING = {
    "language_model.model.embed_tokens.weight": ((163840, 2048), 1),
    "language_model.lm_head.weight": ((163840, 2048), 1),
    "language_model.model.norm.weight": ((2048,), 1),
    "language_model.model.layers.N.input_layernorm.weight": ((2048,), 27),
    "language_model.model.layers.N.post_attention_layernorm.weight": ((2048,), 27),
    "language_model.model.layers.N.self_attn.q_proj.weight": ((3072, 2048), 27),
    "language_model.model.layers.N.self_attn.kv_a_proj_with_mqa.weight": ((576, 2048), 27),
    "language_model.model.layers.N.self_attn.kv_a_layernorm.weight": ((512,), 27),
    "language_model.model.layers.N.self_attn.kv_b_proj.weight": ((4096, 512), 27),
    "language_model.model.layers.N.self_attn.o_proj.weight": ((2048, 2048), 27),
    "language_model.model.layers.N.mlp.gate_proj.weight": ((11264, 2048), 1),
    "language_model.model.layers.N.mlp.up_proj.weight": ((11264, 2048), 1),
    "language_model.model.layers.N.mlp.down_proj.weight": ((2048, 11264), 1),
    "language_model.model.layers.N.mlp.gate.weight": ((64, 2048), 26),
    "language_model.model.layers.N.mlp.gate.e_score_correction_bias": ((64,), 26),
    "language_model.model.layers.N.mlp.experts.E.gate_proj.weight": ((1408, 2048), 1664),
    "language_model.model.layers.N.mlp.experts.E.up_proj.weight": ((1408, 2048), 1664),
    "language_model.model.layers.N.mlp.experts.E.down_proj.weight": ((2048, 1408), 1664),
    "language_model.model.layers.N.mlp.shared_experts.gate_proj.weight": ((2816, 2048), 26),
    "language_model.model.layers.N.mlp.shared_experts.up_proj.weight": ((2816, 2048), 26),
    "language_model.model.layers.N.mlp.shared_experts.down_proj.weight": ((2048, 2816), 26),
    "vision_tower.patch_embed.proj.weight": ((1152, 3, 14, 14), 1),
    "vision_tower.patch_embed.proj.bias": ((1152,), 1),
    "vision_tower.patch_embed.pos_emb.weight": ((64, 64, 1152), 1),
    "vision_tower.encoder.blocks.N.norm0.weight": ((1152,), 27),
    "vision_tower.encoder.blocks.N.norm0.bias": ((1152,), 27),
    "vision_tower.encoder.blocks.N.norm1.weight": ((1152,), 27),
    "vision_tower.encoder.blocks.N.norm1.bias": ((1152,), 27),
    "vision_tower.encoder.blocks.N.wqkv.weight": ((3456, 1152), 27),
    "vision_tower.encoder.blocks.N.wqkv.bias": ((3456,), 27),
    "vision_tower.encoder.blocks.N.wo.weight": ((1152, 1152), 27),
    "vision_tower.encoder.blocks.N.wo.bias": ((1152,), 27),
    "vision_tower.encoder.blocks.N.mlp.fc0.weight": ((4304, 1152), 27),
    "vision_tower.encoder.blocks.N.mlp.fc0.bias": ((4304,), 27),
    "vision_tower.encoder.blocks.N.mlp.fc1.weight": ((1152, 4304), 27),
    "vision_tower.encoder.blocks.N.mlp.fc1.bias": ((1152,), 27),
    "vision_tower.encoder.final_layernorm.weight": ((1152,), 1),
    "vision_tower.encoder.final_layernorm.bias": ((1152,), 1),
    "multi_modal_projector.pre_norm.weight": ((1152,), 1),
    "multi_modal_projector.pre_norm.bias": ((1152,), 1),
    "multi_modal_projector.linear_1.weight": ((4608, 4608), 1),
    "multi_modal_projector.linear_1.bias": ((4608,), 1),
    "multi_modal_projector.linear_2.weight": ((2048, 4608), 1),
    "multi_modal_projector.linear_2.bias": ((2048,), 1),
}


@pytest.fixture(scope="module")
def model():
    return KimiVLForConditionalGeneration(CONFIG, device="meta", dtype=torch.bfloat16)


def numel(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_full_size_network_has_16_407_656_048_parameters(model):
    assert numel(model) == 16_407_656_048
    assert numel(model.language_model) == 15_960_110_208
    assert numel(model.vision_tower) == 416_866_032
    assert numel(model.multi_modal_projector) == 30_679_808


def test_layers_have_the_sizes_the_memory_plan_counts_with(model):
    layers = model.language_model.model.layers
    assert numel(layers[0].self_attn) == 13_763_072
    assert numel(layers[0].mlp) == 69_206_016
    assert numel(layers[26].mlp.experts) == 553_648_128
    assert numel(layers[26].mlp.shared_experts) == 17_301_504
    assert model.language_model.lm_head.weight.numel() * 2 + 15_289_021_568 == numel(model.language_model)


def test_the_network_has_no_buffers_and_only_the_router_is_fp32(model):
    assert not list(model.buffers())
    fp32 = {name.split("mlp.")[1] for name, parameter in model.named_parameters() if parameter.dtype == torch.float32}
    assert fp32 == {"gate.weight", "gate.e_score_correction_bias"}


def test_the_checkpoint_layout_is_the_specifications_listing_of_5_652_tensors():
    layout = checkpoint_layout(CONFIG)
    assert len(layout) == 5652
    assert Counter(name.split(".")[0] for name in layout) == {"language_model": 5317, "vision_tower": 329, "multi_modal_projector": 6}
    shapes: dict[str, Counter] = {}
    for name, spec in layout.items():
        numberless = re.sub(r"experts\.\d+", "experts.E", re.sub(r"(layers|blocks)\.\d+", r"\1.N", name))
        shapes.setdefault(numberless, Counter())[spec.shape] += 1
    assert shapes == {name: Counter({shape: count}) for name, (shape, count) in LISTING.items()}
    assert tensor_shapes(OFFICIAL) == {name: spec.shape for name, spec in layout.items()}


def test_every_official_tensor_is_a_view_of_a_parameter_and_the_views_cover_each_parameter_once(model):
    parameters = dict(model.named_parameters())
    covered = Counter()
    for name, spec in checkpoint_layout(CONFIG).items():
        view = parameters[spec.parameter][spec.index]
        assert tuple(view.shape) == spec.shape, name
        assert view._base is parameters[spec.parameter] or view is parameters[spec.parameter] or not spec.index, name
        covered[spec.parameter] += math.prod(spec.shape)
    assert covered == {name: parameter.numel() for name, parameter in parameters.items()}


def test_dense_layers_stand_where_the_config_says_so(model):
    kinds = [type(layer.mlp).__name__ for layer in model.language_model.model.layers]
    assert kinds == ["GatedMLP"] + ["MixtureOfExperts"] * 26


def test_the_latent_cache_takes_31_104_bytes_per_token_in_bf16(model):
    cache = model.new_cache(1000)
    assert cache.rows_NSZ.nbytes == 31_104 * 1000
    assert cache.capacity == 1000
