"""The questions the suite asks of a network. The tests ask them of ours; the mutants show that each question can be answered with no.

Every check takes a model with the golden weights and raises AssertionError when the model is not Kimi-VL.
"""

import json
from pathlib import Path

import torch

from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.layers import RMSNorm
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import rotary_angles
from tests import tolerances
from tests.parity.networks import golden_case
from tests.parity.tiny_reference import LATENT_EPS, LAYER_NORM_EPS, Reference, noise

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_tiny.json").read_text())
CASE = golden_case()
REFERENCE = Reference(CASE.config, CASE.weights).double()


def assert_within(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Every value within an absolute distance."""
    torch.testing.assert_close(actual.double(), expected.double(), rtol=0.0, atol=tolerance)


def assert_relative(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    """Every value within a distance given as a share of the largest expected one."""
    assert_within(actual, expected, tolerance * expected.abs().max().item())


def values(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    """Deterministic fp32 values in [-scale, scale)."""
    return scale * torch.tensor(noise(20_000 + seed, torch.Size(shape).numel()), dtype=torch.float32).reshape(shape)


def check_golden_features(model: KimiVLForConditionalGeneration) -> None:
    """Image features of the official code, and all columns of the independent reference."""
    features = model.image_features(CASE.pixel_values, CASE.grids)
    assert_within(features[:, :8], torch.tensor(GOLDEN["image_tokens_first8"]), tolerances.IMAGE_FEATURES)
    assert_within(features, CASE.expected[0], tolerances.IMAGE_FEATURES)


def check_golden_logits(model: KimiVLForConditionalGeneration) -> None:
    """Logits of the official code for a prompt with two images and for one with none."""
    logits = model(CASE.input_ids, CASE.pixel_values, CASE.grids)
    assert_within(logits[-1], torch.tensor(GOLDEN["logits_last_row"]), tolerances.LOGITS)
    assert_within(logits, CASE.expected[1], tolerances.LOGITS)
    assert logits.argmax(-1).tolist() == GOLDEN["argmax"]
    text_only = model(torch.tensor(GOLDEN["text_only_ids"]))
    assert_within(text_only[-1], torch.tensor(GOLDEN["text_only_logits_last_row"]), tolerances.LOGITS)


def check_rms_norms(model: KimiVLForConditionalGeneration) -> None:
    """Each RMSNorm on values so small that its epsilon is a third of the mean square: 1e-5, but 1e-6 for the latents."""
    for name, module in model.named_modules():
        if isinstance(module, RMSNorm):
            eps = LATENT_EPS if name.endswith("kv_a_layernorm") else CASE.config["text_config"]["rms_norm_eps"]
            x = values(7, module.weight.shape[0], seed=1, scale=3 * eps**0.5)
            assert_relative(module(x), REFERENCE.rms_norm(x.double(), name, eps), tolerances.MODULE_RELATIVE)


def check_layer_norms(model: KimiVLForConditionalGeneration) -> None:
    """Each LayerNorm of the vision tower and the projector, on values as small."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            x = values(7, module.weight.shape[0], seed=2, scale=3 * LAYER_NORM_EPS**0.5)
            assert_relative(module(x), REFERENCE.layer_norm(x.double(), name), tolerances.MODULE_RELATIVE)


def check_vision_mlp(model: KimiVLForConditionalGeneration) -> None:
    """The MLP of each vision block: GELU in its tanh approximation."""
    for index, block in enumerate(model.vision_tower.encoder.blocks):
        x = values(9, CASE.config["vision_config"]["hidden_size"], seed=3, scale=2.0)
        expected = REFERENCE.vision_mlp(x.double(), f"vision_tower.encoder.blocks.{index}.")
        assert_relative(block.mlp(x), expected, tolerances.MODULE_RELATIVE)


def check_projector(model: KimiVLForConditionalGeneration) -> None:
    """The projector: normalisation of each patch before the four are joined, exact GELU."""
    cells = values(5, 4, CASE.config["vision_config"]["hidden_size"], seed=4, scale=2.0)
    cells *= torch.tensor([0.1, 1.0, 2.0, 5.0])[:, None]  # patches of one cell differ in size, so that the order of the two matters
    actual = model.multi_modal_projector(cells.flatten(0, 1), torch.arange(20).view(5, 4))
    assert_relative(actual, REFERENCE.project(cells.double()), tolerances.MODULE_RELATIVE)


def check_latent_attention(model: KimiVLForConditionalGeneration) -> None:
    """Latent attention of each layer, on inputs of ordinary size and on inputs so small that the latent norm's epsilon counts."""
    text = CASE.config["text_config"]
    tokens = TokenLayout.of([11])
    angles = rotary_angles(tokens.positions_T, text["qk_rope_head_dim"], text["rope_theta"])
    for index, layer in enumerate(model.language_model.model.layers):
        for scale in (1.0, 1e-3):
            x = values(11, text["hidden_size"], seed=5, scale=scale)
            actual = layer.self_attn(x, angles.cos(), angles.sin(), tokens, model.ops, None)
            assert_relative(actual, REFERENCE.attention(x.double(), index), tolerances.MODULE_RELATIVE)


def check_mixture(model: KimiVLForConditionalGeneration) -> None:
    """Router, routed and shared experts of each mixture layer."""
    text = CASE.config["text_config"]
    for index in range(text["first_k_dense_replace"], text["num_hidden_layers"]):
        x = values(40, text["hidden_size"], seed=6, scale=2.0)
        actual, _ = model.language_model.model.layers[index].mlp(x, model.ops)
        assert_relative(actual, REFERENCE.mixture(x.double(), index), tolerances.MODULE_RELATIVE)


CHECKS = (
    check_golden_features,
    check_golden_logits,
    check_rms_norms,
    check_layer_norms,
    check_vision_mlp,
    check_projector,
    check_latent_attention,
    check_mixture,
)
