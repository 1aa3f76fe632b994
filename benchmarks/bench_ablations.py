"""What the choices of nano's training are worth: each variant from random weights on the same data, the same time, one GPU each.

    python benchmarks/bench_ablations.py --seconds 300 --data .data/pack --output benchmarks/results/ablations.json

Runs as many variants at once as there are GPUs. The scores are the held-out ones (fonts and words that are not trained on) that training
itself measures at the end: the share of wrong next tokens when reading, teacher-forced.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

mpl.use("Agg")  # no screen is needed to write a file
import matplotlib.pyplot as plt

from kimi_vl.checkpoint.locate import locate_checkpoint
from kimi_vl.training.curves import read_log

HERE = Path(__file__).resolve().parent
# Dense layers as wide as what a token passes in nano: one layer of 1024 and seven of three routed and two shared experts of 128.
DENSE = {"first_k_dense_replace": 8, "intermediate_size": (1024 + 7 * (3 + 2) * 128) // 8}
CHANGED_CONFIG: dict[str, dict[str, int]] = {"dense": DENSE}
VARIANTS = ("base", "adamw", "no_glyph", "dense")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seconds", type=int, default=300, help="of every variant, start and compilation included")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("ablations"), help="folder for checkpoints and logs")
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path, help="PNG of the training loss over time")
    args = parser.parse_args()
    gpus = torch.cuda.device_count()
    if gpus == 0:
        sys.exit("bench_ablations: needs a GPU; on a CPU five minutes teach none of the variants to read")
    queue = list(args.variants)
    while queue:
        wave, queue = queue[:gpus], queue[gpus:]
        running = [start(name, gpu, args) for gpu, name in enumerate(wave)]
        for name, process in zip(wave, running, strict=True):
            if process.wait():
                sys.exit(f"bench_ablations: {name} ended with {process.returncode}; see {args.work / name}.log")
    record = {
        "what": "wrong next tokens when reading held-out fonts and words, per family, after equal time from random weights",
        "device": torch.cuda.get_device_name(0), "torch": torch.__version__, "seconds": args.seconds,
        "variants": {name: result(args.work / name) for name in args.variants},
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    if args.output:
        args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if args.picture:
        draw(record["variants"], args.picture)


def start(name: str, gpu: int, args: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Train one variant on one GPU in a process of its own."""
    variant, _, suffix = name.partition("@")
    folder = args.work / name
    checkpoint = folder / "start"
    checkpoint.mkdir(parents=True, exist_ok=True)
    nano = locate_checkpoint("nano")
    config = json.loads((nano / "config.json").read_text(encoding="utf-8"))
    config["text_config"] |= CHANGED_CONFIG.get(variant, {}) | {"rope_theta": 50000.0}
    (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for file in ("tiktoken.model", "tokenizer_config.json"):
        shutil.copyfile(nano / file, checkpoint / file)
    stage = HERE / "ablations" / f"{variant}.toml"
    if suffix:  # "adamw@2e-3": another learning rate
        lines = [f"lr = {suffix}" if line.startswith("lr =") else line for line in stage.read_text(encoding="utf-8").splitlines()]
        stage = folder / f"{variant}.toml"
        stage.write_text("\n".join(lines), encoding="utf-8")
    words = [sys.executable, "-m", "kimi_vl.training.run", f"{stage}@{args.seconds}", "--checkpoint", checkpoint, "--data", args.data]
    words += ["--state", folder / "state", "--out", folder, "--workers", str(args.workers)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": str(gpu), "OMP_NUM_THREADS": "1"}
    with (args.work / f"{name}.log").open("w") as log:
        return subprocess.Popen([str(word) for word in words], env=environment, stdout=log, stderr=subprocess.STDOUT)


def result(folder: Path) -> dict[str, Any]:
    """The last validation of a run and how far it came."""
    records = read_log(folder / "metrics.jsonl")
    train = [r for r in records if r["kind"] == "train"]
    last = [r for r in records if r["kind"] == "validation"][-1]
    wrong = {
        family: round(1 - score["read"]["accuracy"], 4) for family, score in last.items() if isinstance(score, dict) and "read" in score
    }
    seconds = train[-1]["seconds"]
    pictures = sum(
        r["samples_per_s"] * (r["seconds"] - before) for before, r in zip([0.0, *(t["seconds"] for t in train)], train, strict=False)
    )
    curve = [[r["seconds"], r["tasks"]["read"][0]] for r in train[::5]]
    found = {"steps": train[-1]["stage_step"], "pictures": round(pictures), "seconds_of_steps": seconds, "wrong_when_reading": wrong}
    return found | {"ms_per_step": statistics.median(r["ms_per_step"] for r in train), "training_loss_when_reading": curve}


def draw(variants: dict[str, dict[str, Any]], picture: Path) -> None:
    figure, axis = plt.subplots(figsize=(8, 4.5), constrained_layout=True)
    for name, found in variants.items():
        axis.plot(*zip(*found["training_loss_when_reading"], strict=True), label=name)
    axis.set(title="training loss when reading, nats per token", xlabel="seconds, start and compilation included", yscale="log")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
