"""One recorded step of decoding rows, without a scheduler around it, and which kernels steps and prompts consist of.

    python benchmarks/bench_steps.py --output steps.json
    python benchmarks/bench_steps.py --profile --batches 1 32 --prompts 1024 16384
    python benchmarks/bench_steps.py --draw weighs tells --contexts 1024
    python benchmarks/bench_steps.py --quantize fp8 --profile --batches 256 --contexts 1152 --prompts 1024 --together 32

One GPU, random weights of the true sizes, bf16 unless the decoder's are quantised. A step's milliseconds are the median of seven times ten
replays of its graph, with a cache of random rows, beside the time of reading what it must read. `--draw`: every row has filters, has
penalties, or is told log-probabilities. `--profile` lists kernels by the time from the end of the kernel before to their own, whose sum is
a step's; those that overlap take longer, which counts what they wait (`ms_alone`).
"""

import argparse
import collections
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from kimi_vl.bench.engine import PICTURES, QUICK, EngineBench, official_config, random_model
from kimi_vl.bench.roofline import MACHINES
from kimi_vl.engine import Engine
from kimi_vl.engine.plan import planned_limits
from kimi_vl.engine.rows import Draw, RowRunner
from kimi_vl.ops.quantised import KINDS
from kimi_vl.processor.image import ImageProcessor

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (1024, 120_000)
ROOM = 200  # tokens that a row may grow by while it is measured
SHOWN = 24  # kernels of a profile


class Steps:
    """Rows of an engine that stand where a test puts them."""

    def __init__(self, engine: Engine, draw: Draw) -> None:
        assert isinstance(engine.runner, RowRunner), "rows need a GPU"
        self.draw = draw
        self.engine, self.runner, self.rows = engine, engine.runner, engine.runner.rows
        for pages_GOZ in self.rows.cache.layers_GOZ:
            pages_GOZ.normal_()
        if draw.filters:
            self.rows.top_p_B.fill_(0.95)
        if draw.weighs:
            self.rows.penalise().frequency_B.fill_(0.1)

    def fits(self, batch: int, context: int) -> bool:
        limits = self.engine.limits
        return batch <= limits.max_running and batch * -(-(context + ROOM) // limits.page_size) <= limits.num_pages

    @torch.inference_mode()
    def place(self, batch: int, context: int) -> None:
        """The first `batch` rows behind `context` tokens each, on pages in no order."""
        rows, limits = self.rows, self.engine.limits
        columns = -(-(context + ROOM) // limits.page_size)
        rows.active_B.zero_()
        rows.active_B[:batch] = 1
        rows.lengths_B.zero_()
        rows.lengths_B[:batch] = context
        order = torch.randperm(limits.num_pages, device=rows.page_table_BJ.device, dtype=torch.int32)
        rows.page_table_BJ[:batch, :columns] = order[: batch * columns].view(batch, columns)
        rows.ids_B.random_(10, 160_000)
        rows.seeds_B.random_()
        rows.temperature_B.fill_(1.0)

    @torch.inference_mode()
    def milliseconds(self, batch: int, context: int) -> float:
        self.place(batch, context)
        for _ in range(3):
            self.runner._step(batch, self.draw)
        found = []
        for _ in range(7):
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(10):
                self.runner._step(batch, self.draw)
            stop.record()
            stop.synchronize()
            found.append(start.elapsed_time(stop) / 10)
        if not bool((self.rows.drawn_B[:batch] >= 0).all()):
            sys.exit("a step drew no token: its logits are not finite")
        return statistics.median(found)


def profile(run: Callable[[], object]) -> dict[str, Any]:
    """Kernels of one run behind a first one, by what they add to its time."""
    run()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        run()
        torch.cuda.synchronize()
    times, alone, counts = (collections.Counter[str]() for _ in range(3))
    events = [event for event in found.events() or [] if event.device_type == torch.autograd.DeviceType.CUDA]
    events.sort(key=lambda event: event.time_range.end)
    last = min((event.time_range.start for event in events), default=0.0)
    for event in events:
        times[event.name] += (event.time_range.end - last) / 1e3
        alone[event.name] += event.device_time / 1e3
        counts[event.name] += 1
        last = event.time_range.end
    kernels = [
        {"name": name[:120], "ms": ms, "ms_alone": alone[name], "launches": int(counts[name])} for name, ms in times.most_common(SHOWN)
    ]
    return {"ms": sum(times.values()), "launches": sum(counts.values()), "kernels": kernels}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    parser.add_argument("--contexts", type=int, nargs="*", default=CONTEXTS)
    parser.add_argument("--prompts", type=int, nargs="*", default=(1024, 16_384), help="to profile, with a first token each")
    parser.add_argument("--together", type=int, default=1, help="how many prompts of a length are profiled at once")
    parser.add_argument("--quantize", choices=KINDS, help="quantise the decoder; default: bf16")
    parser.add_argument("--draw", nargs="*", choices=Draw._fields, default=(), help="what drawing has to do")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("bench_steps needs a GPU; kimi-vl bench engine --quick --device cpu shows that the engine works")
    torch.manual_seed(0)
    config, device = official_config(), torch.device("cuda")
    model = random_model(config, device, torch.bfloat16, options.quantize)
    free = int(torch.cuda.mem_get_info(device)[0] * 0.95)
    limits = planned_limits(config, free_bytes=free, max_running=256, step_tokens=32_768)
    processor = ImageProcessor(PICTURES)
    engine = Engine(model, limits, normalise=processor.normalised)
    bench = EngineBench(engine, processor, QUICK, kind=options.quantize)
    steps = Steps(engine, Draw(*(name in options.draw for name in Draw._fields)))
    name = torch.cuda.get_device_name()
    machine = next((machine for part, machine in MACHINES.items() if part in name), None)
    report: dict[str, Any] = {
        "machine": name,
        "torch": torch.__version__,
        "draw": options.draw,
        "quantised": options.quantize,
        "steps": [],
        "profiles": {},
    }
    for context in options.contexts:
        for batch in options.batches:
            if steps.fits(batch, context):
                row: dict[str, Any] = {"batch": batch, "context": context, "ms": steps.milliseconds(batch, context)}
                if machine:
                    row["limit"] = bench.step_bytes(batch, context) / machine.read_bytes_s * 1e3
                    row["share"] = row["limit"] / row["ms"]
                report["steps"].append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    if options.profile:
        for batch in options.batches:
            steps.place(batch, options.contexts[0])
            report["profiles"][f"step of {batch}"] = profile(lambda batch=batch: steps.runner._step(batch, steps.draw))
        for length in options.prompts:
            prompts = [bench.prompt(length) for _ in range(options.together)]
            report["profiles"][f"{options.together} prompts of {length}"] = profile(lambda prompts=prompts: bench.answered(prompts, 1))
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
