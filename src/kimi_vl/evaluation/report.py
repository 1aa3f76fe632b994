"""From scored answers to a document of plain values, and from that to tables for reading."""

from __future__ import annotations

import os
import platform
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import PIL
import torch

from kimi_vl import __version__
from kimi_vl.errors import InputError
from kimi_vl.evaluation.runner import Answered
from kimi_vl.evaluation.scores import LOWER_IS_BETTER, SCORES
from kimi_vl.evaluation.suite import TASKS, TIERS, Task, Tier

FORMAT = "kimi-vl evaluation 1"
PINS = Path(__file__).with_name("pins.toml")
IN_PARTS = frozenset({"mean error", "mean error, s", "thinking tokens", "mean IoU"})  # every other score is a share, shown in percent

Rows = dict[str, dict[str, Any]]  # tier -> task -> values


def rows(answered: Answered, pins: Mapping[str, str]) -> Rows:
    """The scores of all questions asked, with targets, and whether they are the questions that were pinned."""
    tasks, tiers = {task.name: task for task in TASKS}, {tier.name: tier for tier in TIERS}
    table: Rows = {}
    for tier in TIERS:
        for task in TASKS:
            if results := answered.results.get((tier.name, task.name)):
                scores = SCORES[task.score](results)
                name, headline = next(iter(scores.items()))
                target = target_of(task, tier)
                met = None if target is None else headline.value <= target if name in LOWER_IS_BETTER else headline.value >= target
                table.setdefault(tier.name, {})[task.name] = {
                    "metric": name,
                    "n": len(results),
                    "target": target,
                    "met": met,
                    "questions": _pinned(tiers[tier.name], tasks[task.name], answered, pins),
                    "digest": answered.digests[tier.name, task.name],
                    "cut": sum(result.response.finish_reason == "length" for result in results),
                    "seconds": sum(result.response.seconds for result in results),
                    "scores": {key: asdict(value) for key, value in scores.items()},
                }
    return table


def target_of(task: Task, tier: Tier) -> float | None:
    """Targets are for the headline tiers T2 and T3."""
    if tier.name not in ("T2", "T2-files", "T3"):
        return None
    return task.foreign if tier.name == "T3" and task.foreign is not None else task.target


def _pinned(tier: Tier, task: Task, answered: Answered, pins: Mapping[str, str]) -> str:
    """ "pinned", "part" of a tier (--limit), "differ" from what was pinned for this pack, or "new": nothing is pinned for it."""
    if tier.split is None:
        return "pinned"
    if len(answered.results[tier.name, task.name]) < min(tier.size, task.most):
        return "part"
    pin = pins.get(f"{tier.name}/{task.name}")
    return "new" if pin is None else "pinned" if pin == answered.digests[tier.name, task.name] else "differ"


def read_pins(pack: str, path: Path | None = None) -> dict[str, str]:
    """Digests of all questions by "tier/task" for a pack's digest; empty for a pack that nothing is pinned for."""
    path = path or PINS
    return tomllib.loads(path.read_text(encoding="utf-8")).get(pack, {}) if path.exists() else {}


def write_pins(pack: str, digests: Mapping[tuple[str, str], str], path: Path | None = None) -> None:
    """Pin the questions of one pack; those of others are forgotten, since a new version of the renderer changes all."""
    lines = [f'"{tier}/{task}" = "{digest}"' for (tier, task), digest in digests.items()]
    head = "# sha256 over pixels, questions and answers of each tier and task, by the digest of the data pack they are drawn from.\n"
    (path or PINS).write_text(f'{head}["{pack}"]\n' + "\n".join(lines) + "\n", encoding="utf-8")


def machine(device: str) -> dict[str, Any]:
    """What ran it, and how busy it was already."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
    }


def versions() -> dict[str, str]:
    known = {"kimi-vl": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return {**known, "numpy": numpy.__version__, "pillow": PIL.__version__}


# For reading ---------------------------------------------------------------------------------------------------------------


def show(value: float, metric: str) -> str:
    return f"{value:.2f}" if metric in IN_PARTS else f"{100 * value:.1f} %"


def interval(estimate: Mapping[str, float], metric: str) -> str:
    """ "97.3 % (95.1-98.6)" """
    if metric in IN_PARTS:
        return f"{estimate['value']:.2f} ({estimate['low']:.2f}-{estimate['high']:.2f})"
    return f"{100 * estimate['value']:.1f} % ({100 * estimate['low']:.1f}-{100 * estimate['high']:.1f})"


def table(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A heading and one row per tier and task: the headline score with interval, its target, and whether it is met."""
    lines: list[tuple[str, ...]] = [("tier", "task", "n", "score", "", "target", "", "questions")]
    for tool, tiers in {document["tool"]: document["tiers"], **document.get("peers", {})}.items():
        for tier, tasks in tiers.items():
            for task, row in tasks.items():
                metric, target = row["metric"], row["target"]
                met = {None: "", True: "met", False: "missed"}[row["met"]]
                bound = "" if target is None else f"{'<=' if metric in LOWER_IS_BETTER else '>='} {show(target, metric)}"
                label = task if tool == document["tool"] else f"{task}, {tool}"
                lines.append((tier, label, str(row["n"]), interval(row["scores"][metric], metric), metric, bound, met, row["questions"]))
    return lines


def compare(document: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A heading and one row per score that both runs have: there, here, and the difference in points.

    Raises: InputError when `other` is no document of this evaluation.
    """
    if not isinstance(other, Mapping) or other.get("format") != FORMAT:
        found = other.get("format") if isinstance(other, Mapping) else type(other).__name__
        raise InputError(f"the file to compare with has format {ascii(found)[:40]}, not {FORMAT!r}; pass what --output wrote")
    lines: list[tuple[str, ...]] = [("tier", "task", "score", "there", "here", "difference", "questions")]
    for tier, tasks in document["tiers"].items():
        for task, row in tasks.items():
            before = other["tiers"].get(tier, {}).get(task)
            if before is None:
                continue
            same = "same" if before["digest"] == row["digest"] else "not the same"
            for metric, score in row["scores"].items():
                if metric in before["scores"]:
                    there, here = before["scores"][metric]["value"], score["value"]
                    gap = f"{here - there:+.2f}" if metric in IN_PARTS else f"{100 * (here - there):+.1f}"
                    lines.append((tier, task, metric, show(there, metric), show(here, metric), gap, same))
    return lines


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
