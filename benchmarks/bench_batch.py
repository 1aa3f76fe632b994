"""How fast many answers are sampled at once: milliseconds per step and tokens per second for different numbers of rows.

    python benchmarks/bench_batch.py --output benchmarks/results/batch.json

nano's configuration with random weights, on a GPU in bf16. Rows hold a 448x448 picture and text, 8 samples to a prompt, about 700
tokens in the middle of the answer. A step's time is the difference of two runs of different lengths, so it holds everything that a
step costs, the host's looks included. Beside it stands the least it could be: the time to read the decoder's weights and the rows'
latents once at the bandwidth that a large copy reaches on the same machine. `--profile FILE` writes where a step's time goes.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import kimi_vl
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import BatchEngine, BatchPrompt
from kimi_vl.model import KimiVLForConditionalGeneration

CONFIG = Path(kimi_vl.__file__).parent / "checkpoint" / "nano" / "config.json"
GRID = (32, 32)  # patches of a 448x448 picture, 256 tokens
SAMPLES = 8
SHORT = 17  # tokens of the shorter run: one look


def random_model(device: torch.device, dtype: torch.dtype) -> KimiVLForConditionalGeneration:
    """nano's network with N(0, 1/fan_in) matrices."""
    torch.manual_seed(0)
    model = KimiVLForConditionalGeneration(KimiVLConfig.from_file(CONFIG), device=device, dtype=dtype).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        else:
            parameter.normal_(std=parameter[0].numel() ** -0.5 if parameter.ndim == 4 else parameter.shape[-1] ** -0.5)
    return model


def make_prompts(count: int, length: int, config: KimiVLConfig) -> list[BatchPrompt]:
    """Pictures of noise followed by text, `length` tokens in all."""
    image_tokens = GRID[0] * GRID[1] // 4
    prompts = []
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        pixels = torch.rand(GRID[0] * GRID[1], 3, 14, 14, generator=generator) * 2 - 1
        text = torch.randint(0, config.media_placeholder_token_id, (length - image_tokens,), generator=generator).tolist()
        prompts.append(BatchPrompt([config.media_placeholder_token_id] * image_tokens + text, pixels, [GRID]))
    return prompts


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """The least of several runs."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        found.append(time.perf_counter() - started)
    return min(found)


def bandwidth(device: torch.device) -> float:
    """Bytes per second that a copy moves, read and written."""
    size = (1 << 30) if device.type == "cuda" else (1 << 26)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        for _ in range(4):
            target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize()

    copy()
    return 2 * 4 * size / seconds(copy)


def make_engine(model: KimiVLForConditionalGeneration, rows: int, options: argparse.Namespace) -> BatchEngine:
    graphs = False if options.eager else None
    capacity = options.context + options.steps
    return BatchEngine(model, rows=rows, capacity=capacity, end_ids=[], graphs=graphs, compiled=options.compiled)


def measure(model: KimiVLForConditionalGeneration, rows: int, options: argparse.Namespace, speed: float) -> dict[str, float]:
    """One row of the table."""
    prompts = make_prompts(-(-rows // SAMPLES), options.context - options.steps // 2, model.config)
    samples = min(rows, SAMPLES)
    engine = make_engine(model, rows, options)

    def run(max_tokens: int) -> None:
        engine.generate(prompts, samples=samples, temperature=options.temperature, max_tokens=max_tokens)

    longest = SHORT + options.steps
    started = time.perf_counter()
    run(longest)
    first = time.perf_counter() - started
    prefill, short, long = (seconds(lambda n=n: run(n)) for n in (1, SHORT, longest))  # type: ignore[misc]
    step = (long - short) / options.steps
    text = model.config.text_config
    weights = (
        sum(p.numel() * p.element_size() for p in model.language_model.parameters()) - model.language_model.model.embed_tokens.weight.nbytes
    )
    latents = rows * options.context * text.num_hidden_layers * text.latent_dim * model.dtype.itemsize
    return {
        "rows": rows,
        "context": options.context,
        "step_ms": 1e3 * step,
        "limit_ms": 1e3 * (weights + latents) / speed,
        "tokens_per_s": rows / step,
        "prefill_ms": 1e3 * prefill,
        "prompts": len(prompts),
        "first_run_s": first,
    }


def profile(model: KimiVLForConditionalGeneration, rows: int, options: argparse.Namespace) -> str:
    """A table of the kernels of 16 steps, the costliest first."""
    prompts = make_prompts(-(-rows // SAMPLES), options.context - options.steps // 2, model.config)
    engine = make_engine(model, rows, options)
    engine.generate(prompts, samples=SAMPLES, temperature=options.temperature, max_tokens=SHORT)
    with torch.profiler.profile() as recorded:
        engine.generate(prompts, samples=SAMPLES, temperature=options.temperature, max_tokens=SHORT)
    key = "self_cuda_time_total" if model.device.type == "cuda" else "self_cpu_time_total"
    return recorded.key_averages().table(sort_by=key, row_limit=60, max_name_column_width=90)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--context", type=int, default=700, help="tokens in a row halfway through the steps (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=128, help="steps that are timed, a multiple of 16 (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--attention", help="implementation of batched_latent_attention; the automatic choice if left out")
    parser.add_argument("--compiled", action="store_true", help="with the step's small kernels fused by torch.compile")
    parser.add_argument("--eager", action="store_true", help="without CUDA graphs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--profile", type=Path, help="also write a table of the kernels at the greatest number of rows")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    model = random_model(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    model.choose_implementations(
        {"routed_experts": "dense"} | ({"batched_latent_attention": options.attention} if options.attention else {})
    )
    speed = bandwidth(device)
    report = {
        "machine": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "copy_gb_per_s": speed / 1e9,
        "attention": model.ops.batched_latent_attention.__name__,
        "compiled": options.compiled,
        "graphs": device.type == "cuda" and not options.eager,
        "results": [measure(model, rows, options, speed) for rows in options.rows],
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text + "\n", encoding="utf-8")
    if options.profile:
        options.profile.write_text(profile(model, max(options.rows), options), encoding="utf-8")


if __name__ == "__main__":
    main()
