"""`kimi-vl bench engine`: how fast the engine is on this machine, as one JSON document."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

CPU_BYTES = 1 << 28  # for the latent cache and a step's work on a CPU, where this is for seeing that it works


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("engine",), help="random weights; decode, first token, throughput and images")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a config.json; default: the official sizes, 16.4 billion parameters")
    parser.add_argument("--quick", action="store_true", help="small shapes, to see that it works")
    parser.add_argument("--quantize", choices=("int8", "fp8"), help="quantise the decoder; default: bf16, on a CPU fp32")
    parser.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; default: cuda where there is one")
    parser.add_argument("--max-running", type=int, default=256, metavar="N", help="requests that compute at once")
    parser.add_argument("--step-tokens", type=int, metavar="N", help="tokens of a step; default: 131,072, with --quick 256")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON there as well")


def run(args: argparse.Namespace, console: Console) -> int:
    import torch

    from kimi_vl.bench.engine import FULL, PICTURES, QUICK, EngineBench, official_config, planned_limits, random_model, report
    from kimi_vl.config import KimiVLConfig
    from kimi_vl.engine import Engine
    from kimi_vl.llm import resolve_device
    from kimi_vl.model.quantise import quantise
    from kimi_vl.processor.image import ImageProcessor

    args.step_tokens = args.step_tokens or (256 if args.quick else 131_072)
    for name in ("max_running", "step_tokens"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be at least 1")
    device = resolve_device(args.device)
    config = official_config() if args.config is None else KimiVLConfig.from_file(args.config)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = random_model(config, device, dtype)
    if args.quantize:
        quantise(model.language_model, args.quantize)
    free = int(torch.cuda.mem_get_info(device)[0] * 0.95) if device.type == "cuda" else CPU_BYTES
    limits = planned_limits(config, free_bytes=free, max_running=args.max_running, step_tokens=args.step_tokens)
    processor = ImageProcessor(PICTURES)
    bench = EngineBench(Engine(model, limits, normalise=processor.normalised), processor, QUICK if args.quick else FULL, kind=args.quantize)
    measured = []
    for measurement in bench.measurements():
        measured.append(measurement)
        peer = f", peer {measurement.peer:g}" if measurement.peer else ""
        share = f", {100 * measurement.share:.0f} % of the limit" if measurement.share else ""
        console.note(f"{measurement.what}: {measurement.value:.2f} {measurement.unit}{peer}{share}")
        if args.output:  # after each, for what follows may take minutes
            args.output.write_text(json.dumps(report(bench, measured), indent=1) + "\n", encoding="utf-8")
    console.document(report(bench, measured))
    return 0
