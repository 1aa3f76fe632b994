"""A picture of a training log: `python -m kimi_vl.training.curves metrics.jsonl curves.png`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed to write a file
import matplotlib.pyplot as plt


def draw(log: Path, picture: Path) -> None:
    """Loss per task, reading accuracy on held-out scenes, expert balance and speed, over optimiser steps."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    train = [r for r in records if r["kind"] == "train"]
    held_out = [r for r in records if r["kind"] == "validation"]
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), constrained_layout=True)
    losses, accuracy, balance, speed = axes.flat
    for task in sorted({task for r in train for task in r["tasks"]}):
        points = [(r["step"], r["tasks"][task][0]) for r in train if task in r["tasks"]]
        losses.plot(*zip(*points, strict=True), label=task, linewidth=0.8)
    losses.set(title="training loss per task (nats per token)", yscale="log")
    for family in sorted({name for r in held_out for name in r if isinstance(r[name], dict) and "read" in r[name]}):
        points = [(r["step"], 1 - r[family]["read"]["accuracy"]) for r in held_out if family in r]
        accuracy.plot(*zip(*points, strict=True), label=family, marker=".")
    accuracy.set(title="held-out fonts and words: wrong next tokens when reading", yscale="log")
    balance.plot([r["step"] for r in train], [r["max_violation"] for r in train], linewidth=0.6, label="max load / mean - 1, worst layer")
    balance.plot([r["step"] for r in train], [r["gradient_norm"] for r in train], linewidth=0.6, label="gradient norm")
    balance.set(title="expert balance and gradient norm", ylim=(0, 2))
    speed.plot([r["step"] for r in train], [r["samples_per_s"] for r in train], linewidth=0.6, label="samples per second")
    speed.plot([r["step"] for r in train], [r["lr"] * 1e6 for r in train], label="learning rate, millionths")
    speed.set(title="speed and learning rate")
    for axis in axes.flat:
        axis.set_xlabel("step")
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
