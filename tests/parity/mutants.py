"""Every known mistake, made on purpose.

A mutant rewrites one step of our network; its rewrite takes the right value as its default, so that `EQUIVALENTS` can show that the
rewrite itself is right and that the mistake alone is what a check catches.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from kimi_vl.model import KimiVLForConditionalGeneration, experts, vision
from kimi_vl.model.layers import RMSNorm
from kimi_vl.ops import latent, rotary
from tests.parity import checks

Mutation = Callable[..., None]  # (monkeypatch, model)


@dataclass(frozen=True)
class Mutant:
    """A mistake and the checks that must each notice it."""

    mistake: str
    mutate: Mutation
    caught_by: tuple[Callable[[KimiVLForConditionalGeneration], None], ...]


def rotate_half(x, cos, sin):
    """Turn element j together with element j + width / 2."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def vision_angles(*, first="column", interleaved=True) -> Mutation:
    def mutate(monkeypatch, model):
        def rotary_angles(self, layout):
            frequencies = 10000.0 ** (-torch.arange(0, self.head_dim, 4) / self.head_dim)
            sides = [layout.columns_P[:, None] * frequencies, layout.rows_P[:, None] * frequencies]
            if first == "row":
                sides.reverse()
            return torch.stack(sides, dim=-1).flatten(1) if interleaved else torch.cat(sides, dim=-1)

        monkeypatch.setattr(vision.VisionEncoder, "rotary_angles", rotary_angles)

    return mutate


def vision_rotate_half(monkeypatch, model):
    monkeypatch.setattr(rotary, "rotate_pairs", rotate_half)  # the decoder has its own name for it, in `latent`


def text_rotate_half(*, deinterleave=True) -> Mutation:
    """The official way of turning pairs: even elements first, then odd ones, then rotate-half."""

    def mutate(monkeypatch, model):
        def rotate(x, cos, sin):
            return rotate_half(torch.cat((x[..., 0::2], x[..., 1::2]), dim=-1) if deinterleave else x, cos, sin)

        monkeypatch.setattr(latent, "rotate_pairs", rotate)

    return mutate


def text_theta(theta) -> Mutation:
    def mutate(monkeypatch, model):
        model.language_model.model.rope_theta = theta

    return mutate


def position_table(**interpolation) -> Mutation:
    def mutate(monkeypatch, model):
        def forward(self, layout):
            images = []
            for start, stop in itertools.pairwise(layout.cu_seqlens.tolist()):
                size = int(layout.rows_P[start:stop].max()) + 1, int(layout.columns_P[start:stop].max()) + 1
                resampled = F.interpolate(self.weight.permute(2, 0, 1)[None], size=size, **interpolation)
                images.append(resampled[0].flatten(1).T)
            return torch.cat(images)

        monkeypatch.setattr(vision.PositionTable, "forward", forward)

    return mutate


def projector(*, order=(0, 1, 2, 3), norm_before=True, gelu=F.gelu) -> Mutation:
    def mutate(monkeypatch, model):
        def forward(self, x_PC, merge_index_M4):
            cells = x_PC[merge_index_M4[:, list(order)]]
            if norm_before:
                cells = self.pre_norm(cells).flatten(1)
            else:
                cells = cells.flatten(1)
                cells = F.layer_norm(cells, cells.shape[-1:], self.pre_norm.weight.repeat(4), self.pre_norm.bias.repeat(4), 1e-5)
            return self.linear_2(gelu(self.linear_1(cells)))

        monkeypatch.setattr(vision.Projector, "forward", forward)

    return mutate


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def tanh_gelu(x):
    return F.gelu(x, approximate="tanh")


def vision_mlp(gelu=tanh_gelu) -> Mutation:
    def mutate(monkeypatch, model):
        monkeypatch.setattr(vision.VisionMLP, "forward", lambda self, x: self.fc1(gelu(self.fc0(x))))

    return mutate


def norm_eps(kind, eps, names=("",)) -> Mutation:
    """Another epsilon in every norm of a kind whose name ends in one of `names`."""

    def mutate(monkeypatch, model):
        for name, module in model.named_modules():
            if isinstance(module, kind) and name.endswith(names):
                module.eps = eps

    return mutate


DECODER_NORMS = ("input_layernorm", "post_attention_layernorm", "model.norm")


def router(*, score=torch.sigmoid, bias_selects=True, bias_weighs=False, renormalise=True, scaled=True) -> Mutation:
    def mutate(monkeypatch, model):
        def route(x_TD, weight_ED, correction_bias_E, top_k, *, renormalise: bool, scaling_factor: float):
            scores = score(F.linear(x_TD.float(), weight_ED))
            biased = scores + correction_bias_E
            indices = (biased if bias_selects else scores).topk(top_k, dim=-1).indices
            weights = (biased if bias_weighs else scores).gather(1, indices)
            if keep_renormalise and renormalise:
                weights = weights / weights.sum(-1, keepdim=True)
            return indices, weights * (scaling_factor if scaled else 1.0)

        object.__setattr__(model.ops, "route", route)

    keep_renormalise = renormalise
    return mutate


def no_shared_experts(monkeypatch, model):
    for module in model.modules():
        if isinstance(module, experts.MixtureOfExperts):
            module.shared_experts = None


def softmax_scale(width) -> Mutation:
    def mutate(monkeypatch, model):
        for layer in model.language_model.model.layers:
            layer.self_attn.scale = width**-0.5

    return mutate


def image_leak(monkeypatch, model):
    """Patches of all images attend to each other."""

    def forward(self, x_PC, layout, ops):
        everything = torch.tensor([0, x_PC.shape[0]], dtype=torch.int32)
        angles = self.rotary_angles(layout)
        for block in self.blocks:
            x_PC = block(x_PC, angles.cos(), angles.sin(), everything, x_PC.shape[0], ops)
        return self.final_layernorm(x_PC)

    monkeypatch.setattr(vision.VisionEncoder, "forward", forward)


def up_before_gate(monkeypatch, model):
    """The two halves of the fused expert matrix read in the other order."""
    for name, parameter in model.named_parameters():
        if name.endswith("gate_up_proj"):
            parameter.data = torch.cat(parameter.chunk(2, dim=1)[::-1], dim=1)


def keys_then_values(monkeypatch, model):
    """kv_b read as all key rows, then all value rows, instead of head by head."""
    for layer in model.language_model.model.layers:
        mla = layer.self_attn
        by_head = mla.kv_b_proj.weight.unflatten(0, (mla.num_heads, -1))
        keys, values = by_head.split([mla.nope, mla.value], dim=1)
        mla.kv_b_proj.weight.data = torch.cat((keys.flatten(0, 1), values.flatten(0, 1)))


def no_causal_mask(monkeypatch, model):
    expanded = model.ops.varlen_attention
    object.__setattr__(model.ops, "varlen_attention", lambda *args, causal, **options: expanded(*args, causal=False, **options))


def features_reversed(monkeypatch, model):
    """The second image's features written over the first image's placeholders."""
    embed = type(model).embed

    def flipped(self, ids, features, *places):
        return embed(self, ids, None if features is None else features.flip(0), *places)

    monkeypatch.setattr(type(model), "embed", flipped)


FEATURES, LOGITS = checks.check_golden_features, checks.check_golden_logits
BOTH = (FEATURES, LOGITS)
TEXT = checks.CASE.config["text_config"]

# The rows of MODEL_SPEC §7, "How visible is each mistake?", in their order.
TABLE = (
    Mutant("row and column swapped in the 2-D rotary", vision_angles(first="row"), BOTH),
    Mutant("first half column, second half row frequencies", vision_angles(interleaved=False), BOTH),
    Mutant("vision rotary as rotate-half", vision_rotate_half, BOTH),
    Mutant("text rotary without de-interleave", text_rotate_half(deinterleave=False), (LOGITS, checks.check_latent_attention)),
    Mutant("rope theta 50000", text_theta(50000.0), (LOGITS,)),
    Mutant("position table bilinear", position_table(mode="bilinear"), BOTH),
    Mutant("position table align_corners", position_table(mode="bicubic", align_corners=True), BOTH),
    Mutant("position table antialias", position_table(mode="bicubic", antialias=True), BOTH),
    Mutant("merge order TL BL TR BR", projector(order=(0, 2, 1, 3)), (*BOTH, checks.check_projector)),
    Mutant("LayerNorm after concatenation", projector(norm_before=False), (*BOTH, checks.check_projector)),
    Mutant("projector QuickGELU", projector(gelu=quick_gelu), (*BOTH, checks.check_projector)),
    Mutant("vision MLP exact GELU", vision_mlp(F.gelu), (*BOTH, checks.check_vision_mlp)),
    Mutant("projector tanh GELU", projector(gelu=tanh_gelu), (*BOTH, checks.check_projector)),
    Mutant("vision LayerNorm eps 1e-6", norm_eps(torch.nn.LayerNorm, 1e-6), (*BOTH, checks.check_layer_norms)),
    Mutant("latent norm eps 1e-5", norm_eps(RMSNorm, 1e-5, ("kv_a_layernorm",)), (checks.check_rms_norms, checks.check_latent_attention)),
    Mutant("all RMSNorm eps 1e-6", norm_eps(RMSNorm, 1e-6, DECODER_NORMS), (LOGITS, checks.check_rms_norms)),
    Mutant("gate weights from biased scores", router(bias_weighs=True), (LOGITS, checks.check_mixture)),
    Mutant("selection without bias", router(bias_selects=False), (LOGITS, checks.check_mixture)),
    Mutant("softmax router", router(score=lambda x: x.softmax(-1)), (LOGITS, checks.check_mixture)),
    Mutant("no routed scaling", router(scaled=False), (LOGITS, checks.check_mixture)),
    Mutant("no shared experts", no_shared_experts, (LOGITS, checks.check_mixture)),
    Mutant("softmax scale from the nope width", softmax_scale(TEXT["qk_nope_head_dim"]), (LOGITS, checks.check_latent_attention)),
)

# Mistakes the table does not list, met in other implementations or close at hand here.
BEYOND_THE_TABLE = (
    Mutant("images attend to each other", image_leak, BOTH),
    Mutant("gate weights not renormalised", router(renormalise=False), (LOGITS, checks.check_mixture)),
    Mutant("gate and up exchanged in the fused experts", up_before_gate, (LOGITS, checks.check_mixture)),
    Mutant("keys and values not split per head", keys_then_values, (LOGITS, checks.check_latent_attention)),
    Mutant("no causal mask", no_causal_mask, (LOGITS, checks.check_latent_attention)),
    Mutant("image features in reverse order", features_reversed, (LOGITS,)),
    Mutant("one vision LayerNorm eps 1e-6", norm_eps(torch.nn.LayerNorm, 1e-6, ("blocks.1.norm0",)), (checks.check_layer_norms,)),
    Mutant("one RMSNorm eps 1e-6", norm_eps(RMSNorm, 1e-6, ("layers.2.input_layernorm",)), (checks.check_rms_norms,)),
)

# The same rewrites without the mistake.
EQUIVALENTS = {
    "vision angles": vision_angles(),
    "text rotary by de-interleave and rotate-half": text_rotate_half(),
    "rope theta": text_theta(800000.0),
    "position table by torch's interpolation": position_table(mode="bicubic", align_corners=False, antialias=False),
    "projector": projector(),
    "vision MLP": vision_mlp(),
    "LayerNorm eps": norm_eps(torch.nn.LayerNorm, 1e-5),
    "latent norm eps": norm_eps(RMSNorm, 1e-6, ("kv_a_layernorm",)),
    "RMSNorm eps": norm_eps(RMSNorm, 1e-5, DECODER_NORMS),
    "router": router(),
    "softmax scale": softmax_scale(TEXT["qk_nope_head_dim"] + TEXT["qk_rope_head_dim"]),
}
