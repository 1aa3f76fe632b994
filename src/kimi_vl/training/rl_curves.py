"""A picture of a log of reinforcement learning: `python -m kimi_vl.training.rl_curves metrics.jsonl curves.png`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # no screen is needed to write a file
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Record = dict[str, Any]


def draw(log: Path, picture: Path) -> None:
    """Accuracy, tokens, how far the policy moves, and where the time goes, over iterations; held-out values with 95 % intervals."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    iterations = [r for r in records if r["kind"] == "iteration"]
    held_out = [r for r in records if r["kind"] == "evaluation"]
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), constrained_layout=True)
    accuracy, tokens, policy, seconds = axes.flat
    _lines(accuracy, iterations, {"accuracy": "sampled, preferred problems", "well_formed": "well formed", "useless": "useless problems"})
    _intervals(accuracy, held_out, "accuracy")
    accuracy.set(title="share of right answers; dotted: the length reward begins", ylim=(0, 1.02))
    _lines(tokens, iterations, {"thinking_tokens": "thinking, sampled", "answer_tokens": "answer, sampled"})
    _intervals(tokens, held_out, "thinking_tokens")
    tokens.set(title="tokens of a reply")
    names = {"entropy": "entropy of a token", "kl": "KL of an iteration, per token", "logprob_gap": "sampler and trainer apart, per token"}
    _lines(policy, iterations, names)
    policy.set(title="policy (nats)")
    policy.set_yscale("symlog", linthresh=1e-5)
    _lines(seconds, iterations, {"wait_s": "waiting for problems", "sample_s": "sampling", "train_s": "training"})
    seconds.set(
        title="seconds of an iteration (the first compiles)", ylim=(0, 4 * median(r["sample_s"] + r["train_s"] for r in iterations))
    )
    rewarded = next((r["iteration"] for r in iterations if r["w"] > 0), None)
    for axis in axes.flat:
        if rewarded is not None:
            axis.axvline(rewarded, color="gray", linestyle=":")
        axis.set_xlabel("iteration")
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def _lines(axis: Axes, iterations: list[Record], names: dict[str, str]) -> None:
    for key, label in names.items():
        axis.plot([r["iteration"] for r in iterations], [r[key] for r in iterations], linewidth=0.8, label=label)


def _intervals(axis: Axes, held_out: list[Record], key: str) -> None:
    for split in sorted({r["split"] for r in held_out}, reverse=True):
        points = [(r["iteration"], *r["all"][key]) for r in held_out if r["split"] == split]
        at, value, low, high = zip(*points, strict=True)
        below, above = [v - x for v, x in zip(value, low, strict=True)], [x - v for v, x in zip(value, high, strict=True)]
        axis.errorbar(at, value, yerr=(below, above), marker=".", capsize=2, linewidth=1, label=f"{split}, greedy")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
