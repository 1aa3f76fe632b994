"""The official names against the published sizes and against the model."""

import copy
import math

import pytest
import torch

from kimi_vl.checkpoint import checkpoint_layout, estimate_bytes
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ConfigError
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.checkpoint.files import TINY_CONFIG
from tests.configs import OFFICIAL

OFFICIAL_CONFIG = KimiVLConfig.from_dict(OFFICIAL)
EXPERT = "language_model.model.layers.{}.mlp.experts.{}.{}_proj.weight"


def sizes(prefix: str) -> tuple[int, int]:
    specs = [spec for name, spec in checkpoint_layout(OFFICIAL_CONFIG).items() if name.startswith(prefix)]
    return len(specs), sum(spec.numel for spec in specs)


@pytest.mark.parametrize(
    ("prefix", "tensors", "values"),
    [
        ("", 5652, 16_407_656_048),
        ("vision_tower.", 329, 416_866_032),
        ("multi_modal_projector.", 6, 30_679_808),
        ("language_model.", 5317, 15_960_110_208),
    ],
)
def test_the_official_model_has_the_published_tensors_and_values(prefix, tensors, values):
    assert sizes(prefix) == (tensors, values)


def test_the_official_index_has_its_published_size_once_the_skipped_tables_are_counted():
    names = [*checkpoint_layout(OFFICIAL_CONFIG), *(f"language_model.model.layers.{n}.self_attn.rotary_emb.inv_freq" for n in range(27))]
    # '    "name": "model-00001-of-00007.safetensors",\n' per name, and the frame with a total_size of 11 digits.
    body = sum(len(name) + len('    "": "model-00001-of-00007.safetensors",\n') for name in names) - 1
    frame = len('{\n  "metadata": {\n    "total_size": 32815312096\n  },\n  "weight_map": {\n  }\n}\n')
    assert abs(body + frame - 588_207) <= 2  # the published 588 kB; 27 names fewer would be 2,798 bytes short


def test_only_the_router_is_kept_in_float32():
    kept = [name for name, spec in checkpoint_layout(OFFICIAL_CONFIG).items() if spec.keep_fp32]
    assert len(kept) == 2 * 26
    assert all(name.endswith((".mlp.gate.weight", ".mlp.gate.e_score_correction_bias")) for name in kept)


def test_bfloat16_weights_take_two_bytes_each_and_the_router_four():
    router_values = 26 * (64 * 2048 + 64)
    assert estimate_bytes(OFFICIAL_CONFIG, torch.bfloat16) == 2 * 16_407_656_048 + 2 * router_values
    assert estimate_bytes(OFFICIAL_CONFIG, torch.float32) == 4 * 16_407_656_048


def test_experts_are_cut_from_the_fused_parameters_at_their_rows():
    layout = checkpoint_layout(TINY_CONFIG)
    fused = torch.arange(8 * 48 * 64).view(8, 48, 64)
    assert layout[EXPERT.format(1, 5, "gate")].parameter == "language_model.model.layers.1.mlp.experts.gate_up_proj"
    assert torch.equal(fused[layout[EXPERT.format(1, 5, "gate")].index], fused[5, :24])
    assert torch.equal(fused[layout[EXPERT.format(1, 5, "up")].index], fused[5, 24:])
    assert layout[EXPERT.format(2, 7, "down")].parameter == "language_model.model.layers.2.mlp.experts.down_proj"
    assert layout[EXPERT.format(2, 7, "down")].index == (7,)


@pytest.mark.parametrize("config", [TINY_CONFIG, OFFICIAL_CONFIG], ids=["tiny", "official"])
def test_the_layout_covers_every_value_of_the_model_exactly_once(config):
    parameters = dict(KimiVLForConditionalGeneration(config, device="meta").named_parameters())
    covered = dict.fromkeys(parameters, 0)
    places = set()
    for spec in checkpoint_layout(config).values():
        assert tuple(parameters[spec.parameter][spec.index].shape) == spec.shape
        covered[spec.parameter] += spec.numel
        places.add((spec.parameter, str(spec.index)))
    assert covered == {name: parameter.numel() for name, parameter in parameters.items()}
    assert len(places) == len(checkpoint_layout(config))


def test_a_model_without_shared_experts_has_no_tensors_for_them():
    values = copy.deepcopy(OFFICIAL)
    values["text_config"]["n_shared_experts"] = 0
    names = checkpoint_layout(KimiVLConfig.from_dict(values))
    assert len(names) == 5652 - 3 * 26
    assert not any("shared_experts" in name for name in names)


def test_int8_candidates_are_the_weight_matrices_and_nothing_else():
    specs = checkpoint_layout(TINY_CONFIG)
    left = {name for name, spec in specs.items() if not spec.quantisable}
    assert all(math.prod(specs[name].shape) == specs[name].shape[0] or "gate.weight" in name or "pos_emb" in name for name in left)
    assert {name for name, spec in specs.items() if len(spec.shape) > 1} - left == {
        name for name, spec in specs.items() if spec.quantisable
    }
    assert "vision_tower.patch_embed.pos_emb.weight" in left
    assert "vision_tower.patch_embed.proj.weight" not in left


@pytest.mark.parametrize(("part", "key"), [("text_config", "num_hidden_layers"), ("text_config", "n_routed_experts")])
def test_a_config_of_a_million_layers_or_experts_is_refused_before_names_are_made(part, key):
    values = copy.deepcopy(OFFICIAL)
    values[part][key] = 1_000_000
    with pytest.raises(ConfigError, match="tensors"):
        checkpoint_layout(KimiVLConfig.from_dict(values))
