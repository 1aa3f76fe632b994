"""What a precision costs in exactness: logits of full-size layers with random weights, against the same in fp32.

    python benchmarks/bench_precision.py --output benchmarks/results/precision.json

On a CPU; 12 GB for the first layers of the official decoder (one dense, two of experts) and its vocabulary. Activations are bf16; only
the weights of the decoder differ (in int4 the routed experts are in four bits and all else is in int8), but for the last row, where
tokens and inner values are rounded to fp8 before they are multiplied, as prompts are on an H100: each with a scale of its own. The exact
weights are bf16 numbers, as a checkpoint's are; nano is measured so as well, over the beginning of ARCHITECTURE.md. The error of a token
is the norm of the difference of its logits over that of the logits. A choice of experts that turns changes a token altogether, so medians
are given beside means.

The latent cache is rounded in fp32, here and in nano, whose latents are trained: every token reads rounded rows, its own among them, and
attention's error is that of the same queries over rows as they were. "scaled" are ways that the engine does not have: a scale for the
latent of each row and one for its rotated key.
"""

import argparse
import dataclasses
import gc
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from kimi_vl import KimiVL
from kimi_vl.bench.engine import official_config, random_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.model.cache import LatentCache
from kimi_vl.model.layers import QuantisedLinear
from kimi_vl.model.quantise import quantise
from kimi_vl.model.tokens import TokenLayout
from kimi_vl.ops import experts
from kimi_vl.ops.latent import kept
from kimi_vl.ops.quantised import DTYPES, EightBits, ExpertWeight, Kind, Weight, dequantised, one_of, quantised

LAYERS = 3
NANO_TOKENS = 2000
# What the weights are, and whether tokens are rounded as well.
PRECISIONS: dict[str, tuple[Kind | None, bool]] = {
    "bf16": (None, False),
    "int8": ("int8", False),
    "int4": ("int4", False),
    "fp8": ("fp8", False),
    "fp8, activations too": ("fp8", True),
}


def fp8(rows_TZ: torch.Tensor, rank: int) -> torch.Tensor:
    return kept(rows_TZ, DTYPES["fp8"]).to(rows_TZ.dtype)


def key_as_it_is(rows_TZ: torch.Tensor, rank: int) -> torch.Tensor:
    return torch.cat((fp8(rows_TZ[:, :rank], rank), rows_TZ[:, rank:].bfloat16().to(rows_TZ.dtype)), dim=1)


def scaled(rows_TZ: torch.Tensor, rank: int, *, kind: EightBits) -> torch.Tensor:
    parts = rows_TZ.tensor_split([rank], dim=1)
    return torch.cat([dequantised(quantised(part, kind), rows_TZ.dtype) for part in parts], dim=1)


CACHES: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "bf16": lambda rows_TZ, rank: rows_TZ.bfloat16().to(rows_TZ.dtype),
    "fp8": fp8,
    "fp8 scaled": partial(scaled, kind="fp8"),
    "fp8, keys in bf16": key_as_it_is,
    "int8 scaled": partial(scaled, kind="int8"),
}


class RoundedCache(LatentCache):
    """Keeps rows as they are and rounded; every token reads the latter."""

    def __init__(self, model: KimiVLForConditionalGeneration, tokens: int, name: str | None) -> None:
        super().__init__(model.config.text_config, tokens, dtype=model.dtype, device=model.device)
        self.round, self.rank = CACHES[name] if name else None, model.config.text_config.kv_lora_rank
        self.errors: list[float] = []

    def write(self, layer: int, rows_TZ: torch.Tensor) -> int:
        super().write(layer, rows_TZ)
        return 0

    def attend(self, layer, q_latent_THL, q_rope_THR, ops, *, scale):
        exact_THL = super().attend(layer, q_latent_THL, q_rope_THR, ops, scale=scale)
        if self.round is None:
            return exact_THL
        rows_SZ = self.round(self.rows_NSZ[layer, : q_latent_THL.shape[0]], self.rank)
        found_THL = ops.latent_attention(q_latent_THL, q_rope_THR, rows_SZ, scale=scale)
        self.errors.append(float((found_THL - exact_THL).norm() / exact_THL.norm()))
        return found_THL


def over_caches(model: KimiVLForConditionalGeneration, ids: torch.Tensor) -> list[dict[str, Any]]:
    """Every way to keep latents, against keeping them as they are."""

    def logits(name: str | None) -> tuple[torch.Tensor, list[float]]:
        cache = RoundedCache(model, len(ids), name)
        tokens = TokenLayout(torch.arange(len(ids)), torch.zeros(1, dtype=torch.int32), 0, ())
        hidden_TD, _ = model.language_model.model(model.embed(ids, None), tokens, model.ops, cache)
        return model.language_model.lm_head(hidden_TD), cache.errors

    exact_TW, _ = logits(None)
    rows = []
    for name in CACHES:
        found_TW, errors = logits(name)
        rows.append({"cache": name, "attention_error": sum(errors) / len(errors), **compare(exact_TW, found_TW)})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


def over_weights(exact: KimiVLForConditionalGeneration, ids: torch.Tensor) -> list[dict[str, Any]]:
    """Every precision of the weights, against the same in bf16 with everything else in fp32."""
    for parameter in exact.parameters():
        parameter.copy_(parameter.bfloat16())  # as a checkpoint has them
    expected_TW, rows = exact(ids), list[dict[str, Any]]()
    for precision, (kind, rounds_tokens) in PRECISIONS.items():
        model = KimiVLForConditionalGeneration(exact.config, device="cpu", dtype=torch.bfloat16).requires_grad_(False)
        model.load_state_dict(exact.state_dict())
        model.choose_implementations()
        if kind is not None:
            quantise(model.language_model, kind)
        if rounds_tokens:
            round_tokens(model)
        rows.append({"weights": precision, **compare(expected_TW, model(ids))})
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        del model
        gc.collect()
    return rows


def first_layers(layers: int) -> KimiVLConfig:
    config = official_config()
    text = dataclasses.replace(config.text_config, num_hidden_layers=layers)
    vision = dataclasses.replace(config.vision_config, num_hidden_layers=1)
    return dataclasses.replace(config, text_config=text, vision_config=vision)


def rounded(x_TD: torch.Tensor) -> torch.Tensor:
    return dequantised(quantised(x_TD, "fp8"), x_TD.dtype)


def rounded_mlp(x_TD: torch.Tensor, gate_FD: Weight, up_FD: Weight, down_DF: Weight, residual_TD: torch.Tensor | None = None):
    """`experts.gated_mlp` of rounded tokens and inner values."""
    x_TD = rounded(x_TD)
    gate_FD, up_FD, down_DF = (dequantised(weight, x_TD.dtype) for weight in (gate_FD, up_FD, down_DF))
    y_TD = F.linear(rounded(F.silu(F.linear(x_TD, gate_FD)) * F.linear(x_TD, up_FD)), down_DF)
    return y_TD if residual_TD is None else residual_TD + y_TD


def rounded_mixture(
    x_TD: torch.Tensor,
    residual_TD: torch.Tensor,
    gate_up_EGD: ExpertWeight,
    down_EDF: ExpertWeight,
    indices_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    shared: experts.Shared,
    **_: object,
) -> torch.Tensor:
    """`experts.mixture` of rounded tokens and inner values."""
    out_TD = rounded_mlp(x_TD, *shared, residual_TD).float()
    for expert in indices_TK.unique().tolist():
        token, slot = (indices_TK == expert).nonzero(as_tuple=True)
        gate_FD, up_FD = dequantised(one_of(gate_up_EGD, expert), x_TD.dtype).chunk(2)
        y = rounded_mlp(x_TD[token], gate_FD, up_FD, dequantised(one_of(down_EDF, expert), x_TD.dtype))
        out_TD.index_add_(0, token, y.float() * weights_TK[token, slot, None])
    return out_TD.to(x_TD.dtype)


def round_tokens(model: KimiVLForConditionalGeneration) -> None:
    """Let a quantised model on a CPU round what a GPU rounds."""
    model.ops = dataclasses.replace(model.ops, gated_mlp=rounded_mlp, mixture=rounded_mixture)
    for module in model.modules():
        if isinstance(module, QuantisedLinear):
            module.register_forward_pre_hook(lambda module, given: (rounded(given[0]),))


def compare(exact_TW: torch.Tensor, found_TW: torch.Tensor) -> dict[str, float]:
    exact_TW, found_TW = exact_TW.double(), found_TW.double()
    error_T = (found_TW - exact_TW).norm(dim=-1) / exact_TW.norm(dim=-1)
    logs, found_logs = exact_TW.log_softmax(-1), found_TW.log_softmax(-1)
    divergence_T = (logs.exp() * (logs - found_logs)).sum(-1)
    return {
        "median_error": float(error_T.median()),
        "mean_error": float(error_T.mean()),
        "largest_error": float(error_T.max()),
        "median_divergence_nats": float(divergence_T.median()),
        "same_likeliest": float((exact_TW.argmax(-1) == found_TW.argmax(-1)).double().mean()),
    }


def nano() -> tuple[KimiVLForConditionalGeneration, torch.Tensor]:
    """And tokens for it to read."""
    llm = KimiVL.load(device="cpu", dtype="float32")
    text = (Path(__file__).parents[1] / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return llm.model, torch.tensor(llm.processor.tokenizer.encode(text)[:NANO_TOKENS])


@torch.inference_mode()
def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    config = first_layers(options.layers)
    exact = random_model(config, torch.device("cpu"), torch.float32)
    ids = torch.randint(10, config.text_config.vocab_size * 97 // 100, (options.tokens,))
    caches = [{"model": "random", **row} for row in over_caches(exact, ids)]
    caches += [{"model": "nano", **row} for row in over_caches(*nano())]
    rows = [{"model": "random", **row} for row in over_weights(exact, ids)]
    del exact
    rows += [{"model": "nano", **row} for row in over_weights(*nano())]
    report = {"tokens": options.tokens, "layers": options.layers, "torch": torch.__version__, "results": rows, "caches": caches}
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
