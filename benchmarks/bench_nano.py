"""How fast the embedded nano is on a small machine: load, first token, tokens per second, peak memory.

    python benchmarks/bench_nano.py --output benchmarks/results/nano.json

Each run is a new process on two cores: load, then one question about a 448x448 picture. Targets for two idle cores: first token
within 1.5 s, 30 tokens per second. The first token counts from the call of `stream` to its first piece of text, so it holds
decoding the picture, the vision tower, the prefill and one step.
"""

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TARGETS = {"first_token_s": "<= 1.5", "tokens_per_s": ">= 30"}
SIDE = 448


def picture() -> bytes:
    """A PNG of 448x448 pixels with 24 rows of printed text: a full page for nano."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for row in range(24):
        text = f"Row {row + 1:02d}: the ferry leaves at {6 + row // 2:02d}:{15 + row} from pier {row % 5}"
        draw.text((16, 14 + 17.6 * row), text, "black", font)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def run_once(model: str, tokens: int) -> dict[str, float]:
    """One measurement in this process: seconds, tokens per second and MiB."""
    started = time.perf_counter()
    import torch

    from kimi_vl import KimiVL

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    imported = time.perf_counter()
    llm = KimiVL.load(model or None, device="cpu")
    loaded = time.perf_counter()
    data = picture()
    asked, asked_cpu = time.perf_counter(), time.process_time()
    stream = llm.stream("Read the text.", media=[data], temperature=0.0, max_tokens=tokens)
    next(stream)
    first, first_cpu = time.perf_counter(), time.process_time()
    for _ in stream:
        pass
    done, done_cpu = time.perf_counter(), time.process_time()
    written = stream.answer.usage.completion_tokens
    return {
        "import_s": imported - started,
        "load_s": loaded - imported,
        "first_token_s": first - asked,
        "first_token_cpu_s": first_cpu - asked_cpu,
        "tokens_per_s": (written - 1) / (done - first),
        "cpu_ms_per_token": 1000 * (done_cpu - first_cpu) / (written - 1),
        "tokens": written,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def repeat(options: argparse.Namespace) -> dict:
    """Median, least and greatest of every figure over fresh processes pinned to the first `cores` cores."""
    cores = sorted(os.sched_getaffinity(0))[: options.cores]
    os.sched_setaffinity(0, cores)  # inherited by the runs
    command = [sys.executable, __file__, "--once", "--model", options.model, "--tokens", str(options.tokens)]
    runs = []
    for _ in range(options.runs):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout))
    spread = {key: [run[key] for run in runs] for key in runs[0]}
    return {
        "machine": {"cpu": cpu_name(), "cores_used": len(cores), "load": os.getloadavg()[0], "python": platform.python_version()},
        "picture": f"{SIDE}x{SIDE}",
        "runs": options.runs,
        "targets": TARGETS,
        "results": {key: {"median": statistics.median(v), "least": min(v), "greatest": max(v)} for key, v in spread.items()},
    }


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help="another checkpoint than the embedded nano")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes (default: %(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="cores to run on (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=128, help="longest answer (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--once", action="store_true", help="one run in this process, its figures as JSON")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(run_once(options.model, options.tokens)))
        return
    report = repeat(options)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("| figure | median | least | greatest | target |\n|---|---|---|---|---|")
    for key, value in report["results"].items():
        print(f"| {key} | {value['median']:.2f} | {value['least']:.2f} | {value['greatest']:.2f} | {TARGETS.get(key, '')} |")


if __name__ == "__main__":
    main()
