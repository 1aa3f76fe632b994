"""The official tensor names, and where each tensor lives in the model.

Parameter names are the official ones with two fusions per mixture-of-experts layer, made so that all experts are one operand of a
grouped product (MODEL_SPEC §2):

    ...mlp.experts.gate_up_proj [E, 2I, D]   rows 0..I of expert e hold gate_proj, rows I..2I hold up_proj
    ...mlp.experts.down_proj    [E, D, I]    expert e holds down_proj
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kimi_vl.config import KimiVLConfig, TextConfig, VisionConfig
from kimi_vl.errors import ConfigError

# The 16B checkpoint has 5,652 tensors. Twenty times that is a broken or hostile config, refused before a name is made.
MAX_TENSORS = 120_000

LANGUAGE = "language_model."
VISION = "vision_tower."
PROJECTOR = "multi_modal_projector."

# Matrices of one module that multiply the same vectors. Loaded, the second lies behind the first, so that they can be used as one.
NEIGHBOURS = {"q_proj.weight": "kv_a_proj_with_mqa.weight", "gate_proj.weight": "up_proj.weight"}

Index = tuple[int | slice, ...]
Entry = tuple[str, "TensorSpec"]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor of the official checkpoint: its shape, and the part `parameter[index]` of the model that holds it.

    `keep_fp32` marks the router, which runs in float32 whatever the model's dtype (MODEL_SPEC §7.14). `quantisable` marks the weight
    matrices that an int8 checkpoint stores as int8; the learned position table is a table of values rather than a matrix, so it is not.
    """

    shape: tuple[int, ...]
    parameter: str
    index: Index = ()
    keep_fp32: bool = False
    quantisable: bool = False

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def is_expert(self) -> bool:
        """Whether it is a matrix of a routed expert: those alone are parts of a parameter."""
        return bool(self.index)


def runs_quantised(name: str, spec: TensorSpec) -> bool:
    """Whether a tensor is one of those that `quantize` puts into fewer bits while a model is loaded: the decoder's matrices, but for the
    embeddings, which are read row by row, and the latents' map, which is small."""
    return spec.quantisable and name.startswith(LANGUAGE) and not name.endswith(("embed_tokens.weight", "kv_b_proj.weight"))


def quantised_bytes(spec: TensorSpec, kind: str) -> int:
    """What such a tensor takes: a byte for each value and a scale in float32 for each row; of routed experts in int4 half a byte, and a
    scale in two bytes for each 128 columns, of which the last may be fewer (`ops.quantised`)."""
    rows, width = spec.shape
    if kind == "int4" and spec.is_expert:
        return rows * -(-width // 128) * (64 + 2)
    return rows * (width + 4)


def neighbour_of(parameter: str) -> str | None:
    """The parameter that lies behind this one in memory."""
    for first, second in NEIGHBOURS.items():
        if parameter.endswith("." + first):
            return parameter.removesuffix(first) + second
    return None


def checkpoint_layout(config: KimiVLConfig) -> dict[str, TensorSpec]:
    """Every official tensor name and its place in the model, in the order of the forward pass (MODEL_SPEC §2).

    Raises: ConfigError when the configuration describes more tensors than any checkpoint of this family could hold.
    """
    text, vision = config.text_config, config.vision_config
    num_tensors = text.num_hidden_layers * (14 + 3 * text.n_routed_experts) + 12 * vision.num_hidden_layers
    if num_tensors > MAX_TENSORS:
        raise ConfigError(
            f"the config describes about {num_tensors:,} tensors ({text.num_hidden_layers:,} layers of {text.n_routed_experts:,} experts, "
            f"{vision.num_hidden_layers:,} vision blocks); at most {MAX_TENSORS:,} are supported"
        )
    return dict([*_vision(vision), *_projector(vision.hidden_size, text.hidden_size), *_language(text)])


def _vision(vision: VisionConfig) -> Iterator[Entry]:
    width, patch = vision.hidden_size, vision.patch_size
    yield _matrix(VISION + "patch_embed.proj.weight", width, 3, patch, patch)
    yield _vector(VISION + "patch_embed.proj.bias", width)
    yield _vector(VISION + "patch_embed.pos_emb.weight", vision.init_pos_emb_height, vision.init_pos_emb_width, width)
    for n in range(vision.num_hidden_layers):
        block = f"{VISION}encoder.blocks.{n}."
        yield from _layer_norm(block + "norm0", width)
        yield from _layer_norm(block + "norm1", width)
        yield from _linear(block + "wqkv", 3 * width, width)
        yield from _linear(block + "wo", width, width)
        yield from _linear(block + "mlp.fc0", vision.intermediate_size, width)
        yield from _linear(block + "mlp.fc1", width, vision.intermediate_size)
    yield from _layer_norm(VISION + "encoder.final_layernorm", width)


def _projector(vision_width: int, text_width: int) -> Iterator[Entry]:
    cell = 4 * vision_width  # the four patches of a 2x2 cell, concatenated
    yield from _layer_norm(PROJECTOR + "pre_norm", vision_width)
    yield from _linear(PROJECTOR + "linear_1", cell, cell)
    yield from _linear(PROJECTOR + "linear_2", text_width, cell)


def _language(text: TextConfig) -> Iterator[Entry]:
    width = text.hidden_size
    yield _matrix(LANGUAGE + "model.embed_tokens.weight", text.vocab_size, width)
    for n in range(text.num_hidden_layers):
        layer = f"{LANGUAGE}model.layers.{n}."
        yield _vector(layer + "input_layernorm.weight", width)
        yield from _attention(layer + "self_attn.", text)
        yield _vector(layer + "post_attention_layernorm.weight", width)
        if n < text.first_k_dense_replace:
            yield from _gated_mlp(layer + "mlp.", text.intermediate_size, width)
        else:
            yield from _mixture(layer + "mlp.", text)
    yield _vector(LANGUAGE + "model.norm.weight", width)
    yield _matrix(LANGUAGE + "lm_head.weight", text.vocab_size, width)


def _attention(prefix: str, text: TextConfig) -> Iterator[Entry]:
    heads, rank = text.num_attention_heads, text.kv_lora_rank
    yield _matrix(prefix + "q_proj.weight", heads * text.qk_head_dim, text.hidden_size)
    yield _matrix(prefix + "kv_a_proj_with_mqa.weight", text.latent_dim, text.hidden_size)
    yield _vector(prefix + "kv_a_layernorm.weight", rank)
    yield _matrix(prefix + "kv_b_proj.weight", heads * (text.qk_nope_head_dim + text.v_head_dim), rank)
    yield _matrix(prefix + "o_proj.weight", text.hidden_size, heads * text.v_head_dim)


def _mixture(prefix: str, text: TextConfig) -> Iterator[Entry]:
    width, inner = text.hidden_size, text.moe_intermediate_size
    for router, shape in (("gate.weight", (text.n_routed_experts, width)), ("gate.e_score_correction_bias", (text.n_routed_experts,))):
        yield prefix + router, TensorSpec(shape, prefix + router, keep_fp32=True)
    fused, down = prefix + "experts.gate_up_proj", prefix + "experts.down_proj"
    for e in range(text.n_routed_experts):
        expert = f"{prefix}experts.{e}."
        yield expert + "gate_proj.weight", TensorSpec((inner, width), fused, (e, slice(0, inner)), quantisable=True)
        yield expert + "up_proj.weight", TensorSpec((inner, width), fused, (e, slice(inner, 2 * inner)), quantisable=True)
        yield expert + "down_proj.weight", TensorSpec((width, inner), down, (e,), quantisable=True)
    if text.n_shared_experts:
        yield from _gated_mlp(prefix + "shared_experts.", text.n_shared_experts * inner, width)


def _gated_mlp(prefix: str, inner: int, width: int) -> Iterator[Entry]:
    yield _matrix(prefix + "gate_proj.weight", inner, width)
    yield _matrix(prefix + "up_proj.weight", inner, width)
    yield _matrix(prefix + "down_proj.weight", width, inner)


def _linear(prefix: str, outputs: int, inputs: int) -> Iterator[Entry]:
    yield _matrix(prefix + ".weight", outputs, inputs)
    yield _vector(prefix + ".bias", outputs)


def _layer_norm(prefix: str, width: int) -> Iterator[Entry]:
    yield _vector(prefix + ".weight", width)
    yield _vector(prefix + ".bias", width)


def _matrix(name: str, *shape: int) -> Entry:
    return name, TensorSpec(shape, name, quantisable=True)


def _vector(name: str, *shape: int) -> Entry:
    return name, TensorSpec(shape, name)
