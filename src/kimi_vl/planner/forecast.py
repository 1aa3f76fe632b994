"""How fast: what a step must read and multiply, by what a machine can, less what is lost on the way.

Three things are lost, each by one number that was fitted to this package's measurements on one H100 (`benchmarks/results/engine*.json` and
`memory_*.json`; docs/planner.md has them beside the predictions) and is used for every machine. Where a number comes from fewer than three
measurements, or from another program, `Speed.basis` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kimi_vl.bench.roofline import attention_flops, expected_experts, prefill_flops, vision_flops
from kimi_vl.config import KimiVLConfig
from kimi_vl.planner.formats import Precision
from kimi_vl.planner.hardware import Machine

# Of what is printed, an H100 reads 2.9 of 3.35 TB/s and multiplies 790 of 989 TFLOP/s in large dense products (both measured).
READ, MULTIPLIED = 2.9 / 3.35, 790 / 989
# Of what is left, by what weights and cache are kept in, while answers are written: six shapes or more of bf16 and fp8, four of int8 and
# int4. What reading a cache in fp8 loses is known from two, behind 130,943 tokens: twice the time of bf16, which is twice as large.
DECODED: Mapping[str, float] = {"bf16": 0.98, "fp8": 0.80, "int8": 0.73, "int4": 0.41}
CACHED: Mapping[str, float] = {"bf16": 0.98, "fp8": 0.27}
STEP_S = 28e-6  # of each layer: kernels that begin and end
# Prompts: products, those of vision, and a fixed time for each picture, to prepare and to launch.
PROMPT, VISION, PICTURE_S = 0.76, 0.45, 8e-3
FP8_GAIN = 1.35  # of products with both sides in fp8 over bf16
# int8 and int4 are written out before a step of a prompt multiplies by them: seconds for each value, at an H100's read rate.
WRITTEN_OUT_BYTES = {"int8": 13.0, "int4": 6.0}
# llama.cpp on two cores: 18.7 tokens a second of 27.6 that 40 GB/s allow (Q4_K_M). This package has not been measured full-size there.
HOST = 0.68


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Seconds to the first token of one prompt alone, and of all that come at once; of a step; and the tokens a second that all answers
    get together, prompts included.

    None where the machine's maker prints no rate that it needs. `limited_by` says what most of a step is spent on.
    """

    first_token_s: float | None
    all_first_tokens_s: float | None
    step_s: float | None
    tokens_per_s: float | None
    limited_by: str
    basis: str


def read_bytes(config: KimiVLConfig, weights: Mapping[str, int], batch: int) -> float:
    """Of the weights, those that a step of so many answers reads: of the experts those that are expected to be chosen by one at least."""
    share = expected_experts(config.text_config, batch) / config.text_config.n_routed_experts
    always = ("shared", "attention", "latent_map", "router", "norms", "output")
    return sum(weights[part] for part in always) + weights["experts"] * share


def forecast(
    config: KimiVLConfig,
    machine: Machine,
    precision: Precision,
    weights: Mapping[str, int],
    *,
    cache_per_token: int,
    cache: str = "bf16",
    batch: int,
    context: int,
    answer: int,
    step_tokens: int,
    pictures: tuple[int, int] = (0, 0),
) -> Speed:
    """`weights` by part, `step_tokens` of a prompt are computed at once, `pictures`: how many each prompt has, and their patches."""
    if machine.read_bytes_s is None:
        return Speed(
            first_token_s=None, all_first_tokens_s=None, step_s=None, tokens_per_s=None, limited_by="", basis="its rates are not known"
        )
    on_gpu, rate = machine.kind == "cuda", READ * machine.read_bytes_s
    kind = precision.name if precision.is_own else "bf16"
    reading = read_bytes(config, weights, batch) / (rate * (DECODED[kind] if on_gpu else HOST))

    def step_s(length: float) -> float:
        cached = batch * length * cache_per_token / (rate * (CACHED["fp8" if cache == "fp8" else "bf16"] if on_gpu else HOST))
        return reading + cached + (STEP_S * config.text_config.num_hidden_layers if on_gpu else 0.0)

    cached = step_s(context) - step_s(0)
    limited_by = "reading the cache" if cached > reading else "reading weights" if reading > step_s(0) / 2 else "starting kernels"
    prompt = max(1, context - answer)
    first, all_first = (_prompts_s(config, machine, precision, weights, count, prompt, step_tokens, pictures) for count in (1, batch))
    throughput = all_first and batch * answer / (all_first + answer * step_s(prompt + answer / 2))
    return Speed(
        first_token_s=first,
        all_first_tokens_s=all_first,
        step_s=step_s(context),
        tokens_per_s=throughput,
        limited_by=limited_by,
        basis=_basis(machine, precision),
    )


def _prompts_s(
    config: KimiVLConfig,
    machine: Machine,
    precision: Precision,
    weights: Mapping[str, int],
    prompts: int,
    prompt: int,
    step_tokens: int,
    pictures: tuple[int, int],
) -> float | None:
    """Seconds until so many prompts of so many tokens have their first tokens, packed into as few steps as there can be."""
    if machine.kind not in ("cuda", "other") or machine.bf16_flops_s is None or machine.read_bytes_s is None:
        return None
    products, rate = MULTIPLIED * machine.bf16_flops_s, READ * machine.read_bytes_s
    attention, steps = prompts * attention_flops(config, prompt), -(-prompts * prompt // step_tokens)
    gain = FP8_GAIN if precision.name == "fp8" and machine.fp8_flops_s else 1.0
    matrices = (prompts * prefill_flops(config, prompt) - attention) / gain
    seconds = (matrices + attention) / (products * PROMPT)
    seconds += steps * read_bytes(config, weights, min(prompts * prompt, step_tokens)) / (rate * DECODED["bf16"])
    written_out = WRITTEN_OUT_BYTES.get(precision.name, 0.0)
    seconds += steps * written_out * config.text_config.num_hidden_layers * _layer_values(config) / rate
    count, patches = pictures
    if count:
        each = vision_flops(config, patches // count)
        seconds += prompts * count * (PICTURE_S + each / (products * VISION))
    return seconds


def _layer_values(config: KimiVLConfig) -> int:
    """Weights of a layer's routed experts."""
    text = config.text_config
    return 3 * text.hidden_size * text.moe_intermediate_size * text.n_routed_experts


def _basis(machine: Machine, precision: Precision) -> str:
    if machine.kind == "cuda" and precision.is_own:
        return "fitted on one H100" if machine.name == "H100" else "an H100's losses, not measured here"
    if machine.kind in ("cuda", "other"):
        return "an H100's losses in bf16; this package does not run this here"
    return "the share of bandwidth that llama.cpp reaches on two cores"
