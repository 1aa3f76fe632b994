"""The planner's predictions beside what was measured: memory and speed.

    python benchmarks/bench_planner.py --measure gpu --output benchmarks/results/planner_gpu.json    # on a GPU, under four minutes
    python benchmarks/bench_planner.py --output benchmarks/results/planner.json                      # anywhere

The first makes random weights of the official sizes, plans an engine for each of several contexts and batches, runs it and notes the most
memory that was in use, the time to the first token and that of a step; first in bf16, then in int8 and int4 while there is time. The
second predicts all of it (memory beside the tensors that were in use at most, and beside what torch held for them), and what
`engine*.json` and `memory_*.json` hold, and measures nano on this machine's CPU: the peak of resident memory of fresh processes. It
prints a table and writes every row with its source.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")  # as the command line sets it

import torch

from kimi_vl.bench.engine import PICTURES, TEXT, EngineBench, Shapes, official_config, random_model
from kimi_vl.checkpoint.memory import estimate_bytes
from kimi_vl.config import KimiVLConfig
from kimi_vl.engine import Engine
from kimi_vl.engine.memory import SHARE
from kimi_vl.engine.plan import Plan, placed
from kimi_vl.planner import Precision, Workload, facts_of, find_machine, plan
from kimi_vl.planner.forecast import Speed, forecast
from kimi_vl.planner.formats import weight_bytes
from kimi_vl.planner.hardware import Machine
from kimi_vl.processor.image import ImageProcessor

RESULTS = Path(__file__).parent / "results"
SECONDS = 200  # of `--measure gpu`: nothing is begun later
ANSWER = 65
STEP_TOKENS = 8192  # unless a shape says otherwise
# What is kept in how many bits, requests, tokens of each prompt, tokens of a step. The first of a kind pays for compiling kernels.
SHAPES: dict[str | None, tuple[tuple[int, int, int], ...]] = {
    None: (
        (1, 1024, STEP_TOKENS),
        (8, 1024, STEP_TOKENS),
        (1, 16_384, STEP_TOKENS),
        (1, 16_384, 32_768),
        (32, 4096, STEP_TOKENS),
        (8, 16_384, STEP_TOKENS),
        (1, 65_536, STEP_TOKENS),
        (1, 120_000, 131_072),
    ),
    "int8": ((1, 1024, STEP_TOKENS), (8, 1024, STEP_TOKENS), (1, 16_384, STEP_TOKENS)),
    "int4": ((1, 1024, STEP_TOKENS), (8, 1024, STEP_TOKENS), (1, 16_384, STEP_TOKENS)),
}
IMAGES = ((1, 1792, 1792), (4, 1792, 1792))  # behind the first shapes in bf16
QUICK: dict[str | None, tuple[tuple[int, int, int], ...]] = {None: ((1, 256, 1024), (4, 256, 1024)), "int8": ((1, 256, 1024),)}
NANO_PROMPTS = (64, 1024, 4096, 8192, 16_000)


# On a GPU -------------------------------------------------------------------------------------------------------------------------


def measure_gpu(quick: bool) -> dict[str, Any]:
    """Rows of what was planned and what was seen; `quick` with nano's sizes, to see that it works, also on a CPU."""
    began = time.perf_counter()
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cpu" and not quick:
        raise SystemExit("there is no GPU here; --quick shows on a CPU that the script works")
    config = facts_of("nano").config if quick else official_config()
    report: dict[str, Any] = {
        "what": "bench_planner.py --measure gpu",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "commit": _commit(),
        "rows": [],
        "left_out": [],
    }
    for kind, shapes in (QUICK if quick else SHAPES).items():
        if time.perf_counter() - began > SECONDS:
            report["left_out"] += [[kind, *shape] for shape in shapes]
            continue
        model = random_model(config, device, torch.bfloat16, kind)  # type: ignore[arg-type]
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            report.setdefault("total", total)
            report.setdefault("context_bytes", total - free - torch.cuda.memory_reserved(device))
        for shape in shapes:
            if time.perf_counter() - began > SECONDS:
                report["left_out"].append([kind, *shape])
                continue
            report["rows"].append(_measured(model, kind, *shape))
            print(json.dumps(report["rows"][-1]), file=sys.stderr, flush=True)
        for images in IMAGES if kind is None and not quick and time.perf_counter() - began < SECONDS else ():
            report["rows"].append(_seen(model, *images))
            print(json.dumps(report["rows"][-1]), file=sys.stderr, flush=True)
        del model
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return report | {"seconds": round(time.perf_counter() - began, 1)}


def _measured(model: Any, kind: str | None, batch: int, prompt: int, step_tokens: int) -> dict[str, Any]:
    """One engine, made by a plan for this and nothing else: the best of two runs behind a warm-up."""
    context = prompt + ANSWER
    found = _planned(model.config, kind, batch, context, step_tokens)
    bench = _bench(model, found)
    firsts, steps = [], []
    for _ in range(3):
        prompts, began = [bench.prompt(prompt) for _ in range(batch)], time.perf_counter()
        seen = bench.answered(prompts, ANSWER)
        firsts.append(max(times[0] for times in seen) - began)
        steps.append((max(times[-1] for times in seen) - max(times[0] for times in seen)) / (ANSWER - 1))
    row = {"kind": kind, "batch": batch, "prompt": prompt, "context": context}
    return row | _memory(found, model.device) | {"all_first_tokens_s": min(firsts[1:]), "step_s": min(steps[1:])}


def _seen(model: Any, count: int, width: int, height: int) -> dict[str, Any]:
    """Requests that show one picture each, all at once."""
    tokens = ImageProcessor(PICTURES).token_count(width, height)
    found = _planned(model.config, None, count, tokens + TEXT + 2, STEP_TOKENS, (count * 4 * tokens, 4 * tokens))
    value = _bench(model, found).images(count, width, height).value
    row = {"kind": None, "batch": count, "prompt": tokens + TEXT, "context": tokens + TEXT + 2, "patches": 4 * tokens}
    return row | _memory(found, model.device) | {"all_first_tokens_s": value / 1e3}


def _planned(config: KimiVLConfig, kind: Any, batch: int, context: int, most: int, patches: tuple[int, int] = (0, 0)) -> Plan:
    weights = estimate_bytes(config, torch.bfloat16, quantised=kind)
    request = {"context": context, "together": batch * context, "max_running": batch, "kind": kind, "patches": patches}
    return placed(config, usable=1 << 50, weights=weights, most=most, **request)


def _bench(model: Any, found: Plan) -> EngineBench:
    gc.collect()  # the engine before
    if model.device.type == "cuda":
        torch._C._cuda_clearCublasWorkspaces()  # 32 MB or more for the stream of every engine that there was
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(model.device)
    processor = ImageProcessor(PICTURES)
    engine = Engine(model, found.limits, feature_tokens=0, normalise=processor.normalised)
    return EngineBench(engine, processor, Shapes(decode=(), first_token=(), throughput=(), images=()))


def _memory(found: Plan, device: torch.device) -> dict[str, Any]:
    planned = {name: getattr(found, name) for name in ("weights", "cache", "workspace", "graphs", "total")}
    on_gpu = device.type == "cuda"
    most = torch.cuda.max_memory_allocated(device) if on_gpu else None
    held = torch.cuda.max_memory_reserved(device) if on_gpu else None
    return {"step_tokens": found.limits.step_tokens, "planned": planned, "most_in_use": most, "most_held": held}


# Predictions beside it ------------------------------------------------------------------------------------------------------------


def rows() -> Iterator[dict[str, Any]]:
    """Everything that can be compared, each with its source and the share by which the prediction is off."""
    for file in ("engine.json", "engine_fp8.json", "memory_24gb_int8.json", "memory_16gb_int4.json"):
        report = json.loads((RESULTS / file).read_text(encoding="utf-8"))
        yield from _of_bench(file, report)
    if (RESULTS / "planner_gpu.json").exists():
        yield from _of_gpu(json.loads((RESULTS / "planner_gpu.json").read_text(encoding="utf-8")))
    yield from _of_nano()


def _of_bench(file: str, report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of `kimi-vl bench engine`."""
    machine, limits, kind = find_machine("H100"), report["limits"], report["quantised"]
    source, cache = f"{file}, commit {report['commit']}", limits["cache"]
    common = {"machine": machine, "kind": kind, "cache": cache, "step_tokens": limits["step_tokens"]}
    for measured in report["measured"]:
        what, value = measured["what"], measured["value"]
        words = what.replace(",", "").split()
        if words[0] == "decode":
            speed = _forecast(**common, batch=int(words[1]), context=int(words[3]) + 65, answer=1)
            yield _row(what, kind, cache, speed.step_s * 1e3, value, "ms", source)
        elif words[0] == "first":
            speed = _forecast(**common, batch=1, context=int(words[2]) + 2, answer=2)
            yield _row(what, kind, cache, speed.first_token_s * 1e3, value, "ms", source)
        elif words[0] == "throughput":
            speed = _forecast(**common, batch=int(words[1]), context=1280, answer=256)
            yield _row(what, kind, cache, speed.tokens_per_s, value, "tokens/s", source)
        else:
            count = int(words[0]) if words[0].isdigit() else 1
            tokens = ImageProcessor(PICTURES).token_count(*map(int, words[-1].split("x")))
            speed = _forecast(**common, batch=count, context=tokens + TEXT + 2, answer=2, pictures=(1, 4 * tokens))
            yield _row(what, kind, cache, speed.all_first_tokens_s * 1e3, value, "ms", source)
    if "plan" in report:
        pages = limits["num_pages"] - limits["max_running"] + 1
        found = placed(
            official_config(),
            usable=1 << 50,
            weights=estimate_bytes(official_config(), torch.bfloat16, quantised=kind),
            context=pages * limits["page_size"],
            max_running=limits["max_running"],
            kind=kind,
            cache=cache,
            most=limits["step_tokens"],
        )
        what = f"memory in use, {pages * limits['page_size']:,} tokens"
        most = report["plan"]["serving"]["most_in_use"]  # what was held is all that the allocator was let
        yield _row(what, kind, cache, found.total / 1e9, most / 1e9, "GB", source)


def _of_gpu(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of `--measure gpu`."""
    source = f"planner_gpu.json, {report['device']}, commit {report['commit']}"
    machine = find_machine("H200" if "H200" in report["device"] else "H100")
    for row in report["rows"]:
        kind, batch, patches = row["kind"], row["batch"], row.get("patches", 0)
        found = _planned(official_config(), kind, batch, row["context"], row["step_tokens"], (batch * patches, patches))
        shape = f"{batch} x {row['prompt']:,}" + (", a picture each" if patches else "") + f", steps of {row['step_tokens']:,}"
        for name, most in (("in use", row["most_in_use"]), ("held", row["most_held"])):
            yield _row(f"memory {name} {shape}", kind, None, found.total / 1e9, most / 1e9, "GB", source)
        common = {"machine": machine, "kind": kind, "cache": None, "step_tokens": row["step_tokens"], "batch": batch}
        speed = _forecast(**common, context=row["context"], answer=row["context"] - row["prompt"], pictures=(int(patches > 0), patches))
        name = "first token" if batch == 1 else "all first tokens"
        yield _row(f"{name} {shape}", kind, None, speed.all_first_tokens_s * 1e3, row["all_first_tokens_s"] * 1e3, "ms", source)
        if "step_s" in row:
            yield _row(f"decode {shape}", kind, None, speed.step_s * 1e3, row["step_s"] * 1e3, "ms", source)


def _of_nano() -> Iterator[dict[str, Any]]:
    """The plain path in fresh processes on this machine's CPU."""
    nano = facts_of("nano")
    here = Machine(name="this CPU", kind="cpu", memory=1 << 40)
    for prompt in NANO_PROMPTS:
        workload = Workload(context=prompt + 8, answer=8)
        memory = plan(nano, workload=workload, on=(here,)).verdicts[0].memory
        command = [sys.executable, __file__, "--nano", str(prompt)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}).stdout
        yield _row(f"memory of nano, {prompt:,} tokens", "fp32", None, memory.total / 1e6, int(out) / 1e6, "MB", f"here, {_commit()}")


def nano_peak(prompt: int) -> int:
    """The most resident bytes of this process, once it has answered."""
    import resource

    from kimi_vl import KimiVL
    from kimi_vl.engine import Generation, SamplingParams

    torch.set_num_threads(1)
    llm = KimiVL.load()
    ids = [10 + 7919 * k % 4000 for k in range(prompt)]
    list(Generation(llm.model, ids, SamplingParams(temperature=0.0, max_tokens=8), end_ids=()))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _forecast(*, machine: Machine, kind: str | None, cache: str | None, **shape: Any) -> Speed:
    config, precision = official_config(), Precision(kind or "bf16")
    per_token = config.text_config.num_hidden_layers * config.text_config.latent_dim * (1 if cache else 2)
    return forecast(config, machine, precision, weight_bytes(config, precision), cache_per_token=per_token, cache=cache or "bf16", **shape)


def _row(what: str, kind: str | None, cache: str | None, predicted: float, measured: float, unit: str, source: str) -> dict[str, Any]:
    kept = f"{kind or 'bf16'}, cache {cache}" if cache else kind or "bf16"
    numbers = {"predicted": round(predicted, 3), "measured": round(measured, 3), "unit": unit, "off": round(predicted / measured - 1, 4)}
    return {"what": what, "precision": kept, **numbers, "source": source}


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| what | precision | predicted | measured | off | source |", "|---|---|---|---|---|---|"]
    for row in found:
        predicted, measured = (f"{row[name]:,.{0 if row[name] >= 1000 else 2}f}" for name in ("predicted", "measured"))
        cells = [row["what"], row["precision"], f"{predicted} {row['unit']}", measured, f"{100 * row['off']:+.0f} %", row["source"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _commit() -> str:
    out = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return out.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", choices=("gpu",))
    parser.add_argument("--quick", action="store_true", help="with --measure: nano's sizes, also on a CPU")
    parser.add_argument("--nano", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.nano:
        print(nano_peak(args.nano))
        return
    if args.measure:
        text = json.dumps(measure_gpu(args.quick), indent=1)
        print(text)
    else:
        found = list(rows())
        text = json.dumps({"what": "bench_planner.py", "share_of_free_memory": SHARE, "rows": found}, indent=1)
        print(table(found))
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
