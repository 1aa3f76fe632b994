"""Where calculators made for other models go wrong with this one, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kimi_vl.bench.roofline import values_read
from kimi_vl.config import KimiVLConfig


@dataclass(frozen=True, slots=True)
class Mistake:
    """`wrong` is what comes of it, in units of `unit`, `right` what is so."""

    what: str
    wrong: float
    right: float
    unit: str

    @property
    def factor(self) -> float:
        return self.wrong / self.right


def mistakes(config: KimiVLConfig, parameters: Mapping[str, int], context: int) -> list[Mistake]:
    """For one answer behind `context` tokens, weights and cache in bf16.

    The first two are what a formula for multi-head attention says (a public calculator lists the model so, 2026-11-22), and what programs
    hold that keep keys and values of every head; the third what comes of "16 B active"; the fourth of a mask over all patches, where
    attention has no kernel for heads of 72; the last of logits for a whole prompt.
    """
    text, vision = config.text_config, config.vision_config
    heads, values = text.num_attention_heads, context * text.num_hidden_layers * 2
    latent = values * text.latent_dim / 1e9
    usual = values * 2 * heads * text.v_head_dim / 1e9
    written_out = values * heads * (text.qk_head_dim + text.v_head_dim) / 1e9
    patches = 16_384
    tower = patches * 2 * (2 * vision.hidden_size + 2 * vision.intermediate_size) / 1e9
    return [
        Mistake("the cache of multi-head attention, keys and values as wide as a head", usual, latent, "GB"),
        Mistake("keys and values of every head kept, not the latent", written_out, latent, "GB"),
        Mistake("every expert read for every token", 2 * sum(parameters.values()) / 1e9, 2 * values_read(text, 1) / 1e9, "GB a token"),
        Mistake(
            "attention of one picture of 1792x1792 pixels with its scores written out",
            vision.num_attention_heads * patches**2 * 2 / 1e9,
            tower,
            "GB",
        ),
        Mistake("logits of every token of the prompt", context * text.vocab_size * 4 / 1e9, text.vocab_size * 4 / 1e9, "GB"),
    ]
