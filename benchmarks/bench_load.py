"""How long loading a checkpoint takes and how much memory it needs beyond the model itself.

    python benchmarks/bench_load.py --layers 2 --output benchmarks/results/load.json

Writes a random checkpoint at the official width (vision tower, projector, and the first decoder layers; 3.6 GB in bf16 with two) into a
temporary folder, loads it in a fresh process, and prints JSON: seconds with the files in page cache, and the peak resident memory less
what it was before and less the model. The limit is one tensor as stored; reading the same bytes with dd is the yardstick for time.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.configs import OFFICIAL  # noqa: E402

from kimi_vl.checkpoint import load_model, save_checkpoint  # noqa: E402
from kimi_vl.config import KimiVLConfig  # noqa: E402
from kimi_vl.model import KimiVLForConditionalGeneration  # noqa: E402


def write_random(folder: Path, layers: int, quantize: str | None) -> None:
    """A checkpoint of random values at the official widths with fewer decoder layers."""
    values = copy.deepcopy(OFFICIAL)
    values["text_config"]["num_hidden_layers"] = layers
    config = KimiVLConfig.from_dict(values)
    model = KimiVLForConditionalGeneration(config, device="cpu", dtype=torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    save_checkpoint(dict(model.named_parameters()), config, folder, quantize=quantize, max_shard_bytes=1 << 30)


def memory(field: str) -> int:
    """Bytes that Linux counts for this process: VmRSS now, VmHWM at most so far (getrusage would inherit the parent's)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024


def load_once(folder: Path) -> dict[str, float]:
    """In this process: seconds and bytes."""
    before = memory("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    model, _ = load_model(folder, KimiVLForConditionalGeneration, dtype="bfloat16")
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    peak = memory("VmHWM")
    sizes = [p.numel() * p.element_size() for p in model.parameters()]
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "model_gb": round(sum(sizes) / 1e9, 3),
        "largest_parameter_gb": round(max(sizes) / 1e9, 3),
        "peak_beyond_the_model_gb": round((peak - before - sum(sizes)) / 1e9, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=2, help="decoder layers, of 27")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        print(json.dumps(load_once(args.load)))
        return
    report: dict[str, object] = {"layers": args.layers, "torch": torch.__version__}
    for name, quantize in (("bf16", None), ("int8", "int8")):
        with tempfile.TemporaryDirectory() as folder:
            write_random(Path(folder), args.layers, quantize)
            files = sorted(Path(folder).glob("*.safetensors"))
            started = time.perf_counter()
            for file in files:
                subprocess.run(["dd", f"if={file}", "of=/dev/null", "bs=16M", "status=none"], check=True)
            reading = time.perf_counter() - started
            out = subprocess.run([sys.executable, __file__, "--load", folder], check=True, capture_output=True, text=True).stdout
            report[name] = {
                **json.loads(out),
                "files_gb": round(sum(f.stat().st_size for f in files) / 1e9, 3),
                "dd_seconds": round(reading, 2),
            }
    text = json.dumps(report, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
