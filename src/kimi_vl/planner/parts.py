"""What a checkpoint's parameters are, by part, and which of them one token uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from kimi_vl.checkpoint.layout import LANGUAGE, PROJECTOR, VISION, TensorSpec, checkpoint_layout
from kimi_vl.config import KimiVLConfig

# In the order in which they are told. The first five are the matrices that `quantize` puts into fewer bits.
PARTS: Mapping[str, str] = {
    "experts": "routed experts, of which a token uses a few",
    "shared": "shared experts and dense layers",
    "attention": "queries, latents, outputs",
    "output": "output matrix",
    "latent_map": "keys and values from latents",
    "router": "routers, in float32",
    "norms": "norms of the decoder",
    "embedding": "table of token vectors, read row by row",
    "vision": "MoonViT",
    "projector": "from patches to the decoder",
}
SEEING = ("vision", "projector")


def part_of(name: str, spec: TensorSpec) -> str:
    """The part that an official tensor belongs to."""
    if name.startswith(VISION):
        return "vision"
    if name.startswith(PROJECTOR):
        return "projector"
    if spec.is_expert:
        return "experts"
    if spec.keep_fp32:
        return "router"
    if not spec.quantisable:
        return "norms"
    if name.startswith(f"{LANGUAGE}lm_head"):
        return "output"
    if name.endswith("embed_tokens.weight"):
        return "embedding"
    if name.endswith("kv_b_proj.weight"):
        return "latent_map"
    return "attention" if ".self_attn." in name else "shared"


@lru_cache(maxsize=8)  # 5,652 names at the official sizes take 50 ms to make
def tensors(config: KimiVLConfig) -> tuple[tuple[str, str, TensorSpec], ...]:
    """Part, name and place of each."""
    return tuple((part_of(name, spec), name, spec) for name, spec in checkpoint_layout(config).items())


def parameters(config: KimiVLConfig) -> dict[str, int]:
    """How many there are of each part; together, the checkpoint's."""
    counts = Counter[str]()
    for part, _, spec in tensors(config):
        counts[part] += spec.numel
    return {part: counts[part] for part in PARTS}


def activated(config: KimiVLConfig) -> dict[str, int]:
    """Those that one token of text uses (vision and projector: those that a picture does). The embedding is counted whole, as model cards
    do, though a token reads one row of it."""
    text, counts = config.text_config, parameters(config)
    return counts | {"experts": counts["experts"] * text.num_experts_per_tok // text.n_routed_experts}
