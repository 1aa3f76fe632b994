"""Where a training step's time goes: milliseconds per step, samples per second and MFU of a stage, on batches rendered beforehand.

    python benchmarks/bench_training.py --stage c_long --data .data/pack --output benchmarks/results/training.json

nano's weights on one GPU, bf16, blocks compiled. The batches are real ones of the stage (rendered by `--workers` processes, kept in
memory), so the time is the device's alone. Beside it stands the limit: the step's counted operations at the data sheet's rate.
`--set images=256` changes the budget, `--eager` does not record the step as a graph, `--profile FILE` writes the kernels that take longest.
"""

import argparse
import dataclasses
import json
import statistics
import time
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from kimi_vl.checkpoint.locate import locate_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.training.flops import FlopCounter, peak_flops
from kimi_vl.training.loader import BatchStream, batches
from kimi_vl.training.network import TrainedNetwork, initialise
from kimi_vl.training.packing import Batch
from kimi_vl.training.run import STAGES, start_from
from kimi_vl.training.stage import Stage
from kimi_vl.training.trainer import EAGER_STEPS, Ranks, RecordedUpdate, Trainer, Update


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stage", default="c_long")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=N", help="other values of the stage's budget")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    stage = Stage.from_file(STAGES / f"{args.stage}.toml")
    changed = {key: int(value) for key, value in (pair.split("=") for pair in args.set)}
    stage = dataclasses.replace(stage, budget=dataclasses.replace(stage.budget, **changed))
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    nano = locate_checkpoint("nano")
    config = dataclasses.replace(KimiVLConfig.from_file(nano / "config.json"), quantization=None)
    stream = batches(BatchStream(stage.mix, config, stage.budget, nano, args.data), workers=args.workers, pin_memory=False)
    network = TrainedNetwork(config, device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32, budget=stage.budget)
    initialise(network, 0)
    start_from(network, nano)
    trainer = Trainer(network, Ranks(0, 1, device), stage.weight_decay, None, stage.optimizer)
    if device.type == "cuda":
        network.compile_blocks()
    data = [batch.to(device) for batch in islice(stream, args.batches)]
    update: Update = partial(trainer.device_update, stage)
    measured(update, data[:EAGER_STEPS], 1)
    recorded = device.type == "cuda" and not args.eager
    update = RecordedUpdate(update, data[0]) if recorded else update
    times, launching = measured(update, data, args.rounds)
    counter = FlopCounter(network.model)
    flops = statistics.mean(float(counter.count(batch)) for batch in data)
    peak, median = peak_flops(device), statistics.median(times)
    record = {
        "what": "one optimiser step on rendered batches, forward to update, one device",
        "stage": stage.name, "budget": dataclasses.asdict(stage.budget),
        "device": torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu", "torch": torch.__version__,
        "recorded": recorded, "ms_per_step": round(median * 1e3, 1), "slowest_ms": round(max(times) * 1e3, 1),
        "launching_ms": round(statistics.median(launching) * 1e3, 1),
        "samples_per_s": round(statistics.mean(float(b.num_samples) for b in data) / median),
        "full_patches": round(statistics.mean(float(b.real_patches) for b in data) / stage.budget.patches, 3),
        "full_tokens": round(statistics.mean(float(b.real_tokens) for b in data) / stage.budget.tokens, 3),
        "gflop_per_step": round(flops / 1e9), "limit_ms": round(flops / peak * 1e3, 1) if peak else None,
        "mfu": round(flops / median / peak, 4) if peak else None,
    }  # fmt: skip
    print(json.dumps(record), flush=True)
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if args.profile:
        args.profile.write_text(longest_kernels(update, data), encoding="utf-8")


def measured(update: Update, data: list[Batch], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each step, and of these until the host had launched it."""
    times, launching = [], []
    for batch in data * rounds:
        synchronise(batch.pixels.device)
        began = time.perf_counter()
        update(batch, 1e-5)
        launching.append(time.perf_counter() - began)
        synchronise(batch.pixels.device)
        times.append(time.perf_counter() - began)
    return times, launching


def longest_kernels(update: Update, data: list[Batch]) -> str:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]) as profile:
        for batch in data[:4]:
            update(batch, 1e-5)
        synchronise(data[0].pixels.device)
    return profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=60, max_name_column_width=110)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
