"""A picture of a training log: `python -m kimi_vl.training.curves metrics.jsonl curves.png`."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed to write a file
import matplotlib.pyplot as plt


def read_log(log: Path) -> list[dict[str, Any]]:
    """The records of one or more runs in one file. A run that began from another's weights counts its steps from 0: they are put behind."""
    records, before, last = [], 0, 0
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["step"] < last:
            before += last
        last = record["step"]
        records.append(record | {"step": record["step"] + before})
    return records


def draw(log: Path, picture: Path) -> None:
    """Loss per task, reading accuracy on held-out scenes, expert balance and speed, over optimiser steps."""
    records = read_log(log)
    train = [r for r in records if r["kind"] == "train"]
    held_out = [r for r in records if r["kind"] == "validation"]
    figure, axes = plt.subplots(2, 2, figsize=(14, 9), constrained_layout=True)
    losses, accuracy, balance, speed = axes.flat
    for task in sorted({task for r in train for task in r["tasks"]}):
        points = [(r["step"], r["tasks"][task][0]) for r in train if task in r["tasks"]]
        losses.plot(*zip(*points, strict=True), label=task, linewidth=0.8)
    losses.set(title="training loss per task (nats per token)", yscale="log")
    for family in sorted({name for r in held_out for name in r if isinstance(r[name], dict) and "read" in r[name]}):
        points = [(r["step"], 1 - r[family]["read"]["accuracy"]) for r in held_out if "read" in r.get(family, {})]
        accuracy.plot(*zip(*points, strict=True), label=family, marker=".")
    accuracy.set(title="held-out fonts and words: wrong next tokens when reading", yscale="log")
    steps = [r["step"] for r in train]
    balance.plot(steps, [r["max_violation"] for r in train], linewidth=0.6, label="max load / mean - 1, worst layer")
    balance.plot(steps, [r["gradient_norm"] for r in train], linewidth=0.6, label="gradient norm")
    balance.set(title="expert balance and gradient norm", ylim=(0, 2))
    speed.plot(steps, [r["patches_per_s"] / 1e6 for r in train], linewidth=0.6, label="million patches per second")
    speed.plot(steps, [r["lr"] * 1e3 for r in train], label="learning rate, thousandths")
    measured = [(r["step"], r["mfu"] * 10) for r in train if "mfu" in r]
    if measured:
        speed.plot(*zip(*measured, strict=True), linewidth=0.6, label="MFU, tenths")
    speed.set(title="speed and learning rate")
    for axis in axes.flat:
        for start in stage_starts(train):
            axis.axvline(start, color="grey", linewidth=0.5)
        axis.set_xlabel("step; grey lines: stages begin")
        axis.legend(fontsize=7, ncols=2)
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=80)


def stage_starts(train: list[dict[str, Any]]) -> list[int]:
    """The first logged step of every stage of every run."""
    return [now["step"] for before, now in itertools.pairwise([{"stage": None, "stage_step": 0}, *train]) if _begins(before, now)]


def _begins(before: dict[str, Any], now: dict[str, Any]) -> bool:
    return before["stage"] != now["stage"] or now["stage_step"] < before["stage_step"]


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
