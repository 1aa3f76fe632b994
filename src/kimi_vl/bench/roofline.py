"""What a step has to read and to compute at least: the limits that measurements are compared with.

Counted are the weights that must be read once in a step and the cached latents, and the multiplications of the matrices. Activations, the
embedding table and everything small are left out, so that no implementation can be above the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from kimi_vl.config import KimiVLConfig, TextConfig


@dataclass(frozen=True)
class Machine:
    """Measured, not promised: bytes read per second, and bf16 operations per second of large dense products."""

    read_bytes_s: float
    flops_s: float


# By a part of the name that torch gives. Read and product rates as measured by the authors (H100) or scaled by the data sheets (H200).
MACHINES = {"H100": Machine(2.9e12, 790e12), "H200": Machine(4.2e12, 790e12)}


def expected_experts(config: TextConfig, tokens: int) -> float:
    """Different experts that a layer runs for so many tokens, each of which chooses its own evenly."""
    share = config.num_experts_per_tok / config.n_routed_experts
    return config.n_routed_experts * (1 - (1 - share) ** tokens)


def attention_values(config: TextConfig) -> int:
    """Weights of a layer's attention."""
    heads, width = config.num_attention_heads, config.hidden_size
    query = width * heads * config.qk_head_dim
    latent = width * config.latent_dim
    spread = config.kv_lora_rank * heads * (config.qk_nope_head_dim + config.v_head_dim)
    return query + latent + spread + heads * config.v_head_dim * width


def expert_values(config: TextConfig) -> int:
    """Weights of one routed expert."""
    return 3 * config.hidden_size * config.moe_intermediate_size


def routed_values_read(config: TextConfig, tokens: int) -> float:
    """Weights of routed experts that a step of so many tokens reads."""
    sparse = config.num_hidden_layers - config.first_k_dense_replace
    return sparse * expected_experts(config, tokens) * expert_values(config)


def values_read(config: TextConfig, tokens: int) -> float:
    """Weights that such a step reads, the output matrix included."""
    dense, sparse = config.first_k_dense_replace, config.num_hidden_layers - config.first_k_dense_replace
    fixed = config.num_hidden_layers * attention_values(config) + dense * 3 * config.hidden_size * config.intermediate_size
    shared = sparse * (config.n_shared_experts * expert_values(config) + config.hidden_size * config.n_routed_experts)
    return fixed + shared + routed_values_read(config, tokens) + config.vocab_size * config.hidden_size


def decode_bytes(
    config: KimiVLConfig, batch: int, context: int, *, value_bytes: float = 2.0, routed_bytes: float = 2.0, kept_bytes: float = 2.0
) -> float:
    """Bytes of one step in which `batch` requests of `context` tokens each say one more, by those of a weight, of one of a routed expert,
    and of a value of the cache."""
    text = config.text_config
    latents = batch * context * text.num_hidden_layers * text.latent_dim * kept_bytes
    return values_read(text, batch) * value_bytes + routed_values_read(text, batch) * (routed_bytes - value_bytes) + latents


def prefill_flops(config: KimiVLConfig, tokens: int) -> float:
    """Operations of a prompt: its matrices, and causal attention in expanded form."""
    text = config.text_config
    dense, sparse = text.first_k_dense_replace, text.num_hidden_layers - text.first_k_dense_replace
    per_token = text.num_hidden_layers * attention_values(text) + dense * 3 * text.hidden_size * text.intermediate_size
    per_token += sparse * (text.num_experts_per_tok + text.n_shared_experts) * expert_values(text)
    return 2 * tokens * per_token + attention_flops(config, tokens) + 2 * text.vocab_size * text.hidden_size


def attention_flops(config: KimiVLConfig, tokens: int) -> float:
    """Of these, what attention itself multiplies."""
    text = config.text_config
    pairs = tokens * tokens / 2
    return 2 * pairs * text.num_hidden_layers * text.num_attention_heads * (text.qk_head_dim + text.v_head_dim)


def vision_flops(config: KimiVLConfig, patches: int) -> float:
    """Operations of the vision tower and the projector for one image."""
    vision, text = config.vision_config, config.text_config
    width, inner = vision.hidden_size, vision.intermediate_size
    per_patch = vision.num_hidden_layers * (4 * width * width + 2 * width * inner) + 3 * vision.patch_size**2 * width
    merged = 4 * width * (4 * width + text.hidden_size)
    return 2 * (patches * per_patch + patches / 4 * merged) + 4 * patches * patches * vision.num_hidden_layers * width
