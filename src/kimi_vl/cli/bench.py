"""`kimi-vl bench engine`: how fast the engine is on this machine, as one JSON document."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    import torch

    from kimi_vl.config import KimiVLConfig
    from kimi_vl.engine import Limits
    from kimi_vl.engine.plan import Plan

CPU_BYTES = 1 << 28  # for the latent cache and a step's work on a CPU, where this is for seeing that it works
UNITS = {"GB": 10**9, "GIB": 2**30, "MB": 10**6, "MIB": 2**20}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("engine",), help="random weights; decode, first token, throughput and images")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a config.json; default: the official sizes, 16.4 billion parameters")
    parser.add_argument("--quick", action="store_true", help="small shapes, to see that it works")
    parser.add_argument("--quantize", choices=("int8", "fp8", "int4"), help="quantise the decoder; default: bf16, on a CPU fp32")
    parser.add_argument("--cache", choices=("fp8",), help="round the latent cache; default: as the model computes")
    parser.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; default: cuda where there is one")
    parser.add_argument("--max-running", type=int, metavar="N", help="requests that compute at once; default: 256, with --memory 8")
    parser.add_argument(
        "--step-tokens", type=int, metavar="N", help="tokens of a step; default: 131,072, with --quick 256, with --memory planned"
    )
    parser.add_argument(
        "--memory", type=memory_size, metavar="SIZE", help="24GB, 16GiB: hold no more, plan for it, measure one long request"
    )
    parser.add_argument(
        "--context", type=int, metavar="N", help="tokens of that request and its answer; default: as many as the model takes"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON there as well")


def memory_size(text: str) -> int:
    """'24GB' -> 24000000000."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([GM]i?B)", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size of memory; write it like 24GB or 16GiB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def run(args: argparse.Namespace, console: Console) -> int:
    import torch

    from kimi_vl.bench import engine as benches
    from kimi_vl.bench.engine import FULL, PICTURES, QUICK, EngineBench, Measurement, official_config, random_model
    from kimi_vl.config import KimiVLConfig
    from kimi_vl.engine import Engine
    from kimi_vl.engine.engine import FEATURE_TOKENS
    from kimi_vl.llm import resolve_device
    from kimi_vl.processor.image import ImageProcessor

    for name in ("max_running", "step_tokens", "context"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    device = resolve_device(args.device)
    config = official_config() if args.config is None else KimiVLConfig.from_file(args.config)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    plan = None if args.memory is None else _planned(args, config, device, dtype)
    model = random_model(config, device, dtype, args.quantize)
    loading = benches.memory_of(device)
    if plan is None:
        limits, shapes, feature_tokens = _all_there_is(args, config, device), QUICK if args.quick else FULL, FEATURE_TOKENS
    else:
        limits, shapes, feature_tokens = plan.limits, benches.planned_shapes(_context(args, config)), 0
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
    processor = ImageProcessor(PICTURES)
    engine = Engine(model, limits, feature_tokens=feature_tokens, normalise=processor.normalised)
    bench, measured = EngineBench(engine, processor, shapes, kind=args.quantize), list[Measurement]()

    def report() -> dict[str, Any]:
        planned = {} if plan is None else {"plan": benches.plan_report(plan, args.memory, loading, benches.memory_of(device))}
        return benches.report(bench, measured) | planned

    for measurement in bench.measurements():
        measured.append(measurement)
        peer = f", peer {measurement.peer:g}" if measurement.peer else ""
        share = f", {100 * measurement.share:.0f} % of the limit" if measurement.share else ""
        console.note(f"{measurement.what}: {measurement.value:.2f} {measurement.unit}{peer}{share}")
        if args.output:  # after each, for what follows may take minutes
            args.output.write_text(json.dumps(report(), indent=1) + "\n", encoding="utf-8")
    console.document(report())
    return 0


def _all_there_is(args: argparse.Namespace, config: KimiVLConfig, device: torch.device) -> Limits:
    """For requests that share what is free beside the weights."""
    import torch

    from kimi_vl.engine.plan import planned_limits

    return planned_limits(
        config,
        free_bytes=int(torch.cuda.mem_get_info(device)[0] * 0.93) if device.type == "cuda" else CPU_BYTES,
        max_running=args.max_running or 256,
        step_tokens=args.step_tokens or (256 if args.quick else 131_072),
        kind=args.quantize,
        cache=args.cache,
    )


def _context(args: argparse.Namespace, config: KimiVLConfig) -> int:
    return args.context or config.text_config.max_position_embeddings


def _planned(args: argparse.Namespace, config: KimiVLConfig, device: torch.device, dtype: torch.dtype) -> Plan:
    """What fits into the memory asked for; on a GPU torch then holds no more than that. Before anything is loaded."""
    import torch

    from kimi_vl.bench.engine import ANSWER
    from kimi_vl.checkpoint.memory import estimate_bytes
    from kimi_vl.engine.plan import plan

    context, longest = _context(args, config), config.text_config.max_position_embeddings
    if not ANSWER + 1 < context <= longest:
        raise InputError(f"--context is {context:,}; it must be from {ANSWER + 2} to {longest:,}, which the model takes")
    if args.step_tokens is not None or args.quick:
        raise InputError("--memory chooses the tokens of a step and what is measured; leave out --step-tokens and --quick")
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        if args.memory > whole:
            raise InputError(f"--memory is {args.memory / 1e9:.2f} GB and {device} has {whole / 1e9:.2f}")
        torch.cuda.set_per_process_memory_fraction(args.memory / whole, torch.device("cuda", device.index or 0))
    return plan(
        config,
        budget=args.memory,
        weights=estimate_bytes(config, dtype, quantised=args.quantize),
        context=context,
        max_running=args.max_running or 8,
        kind=args.quantize,
        cache=args.cache,
    )
