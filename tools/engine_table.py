"""The tables of docs/engine.md: `python tools/engine_table.py benchmarks/results/engine.json [benchmarks/results/kernels.json]`.

With `--short` the README's.
"""

import json
import sys
from pathlib import Path
from typing import Any

# Rows of the README's table: what stands in it, and the measurements side by side.
SHORT = {
    "a step of 1 / 8 / 32 answers behind 1,024 tokens, ms": ["decode 1 x 1,024", "decode 8 x 1,024", "decode 32 x 1,024"],
    "a step of one answer behind 120,000 tokens, ms": ["decode 1 x 120,000"],
    "first token of 1,024 / 16,384 / 120,000 tokens, ms": ["first token 1,024", "first token 16,384", "first token 120,000"],
    "one 1792×1792 picture / four at once to the first token, ms": ["image 1792x1792", "4 images 1792x1792"],
    "256 requests at once, 1,024 tokens in, 256 out, tokens a second": ["throughput 256"],
}


def main() -> None:
    if "--short" in sys.argv:
        sys.argv.remove("--short")
        return print_short(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(f"{report['device']}, torch {report['torch']}, {report['quantised'] or report['dtype']}, {report['weights']} weights\n")
    print("| what | measured | vLLM 0.26 | the machine's limit | reached | goal |")
    print("|---|---|---|---|---|---|")
    for row in report["measured"]:
        print("| " + " | ".join(engine_cells(row)) + " |")
    if len(sys.argv) > 2:
        print("\n| kernel | shape | microseconds | GB/s or TFLOP/s | of the limit | next best here |")
        print("|---|---|---|---|---|---|")
        for row in kernel_rows(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))["results"]):
            print(row)


def print_short(report: dict[str, Any]) -> None:
    rows = {row["what"]: row for row in report["measured"]}
    print("| | measured | vLLM 0.26 | the machine's limit |")
    print("|---|---|---|---|")
    for what, names in SHORT.items():
        measured, peers, limits = (" / ".join(number(rows[name][key]) for name in names) for key in ("value", "peer", "limit"))
        print(f"| {what} | **{measured}** | {peers} | {limits} |")


def engine_cells(row: dict[str, Any]) -> list[str]:
    unit = {"ms a step": "ms", "tokens a second": "tok/s"}.get(row["unit"], row["unit"])
    goal = row["goal"]
    is_met = goal is not None and (row["value"] >= goal if unit == "tok/s" else row["value"] <= goal)
    return [
        row["what"],
        f"**{number(row['value'])} {unit}**",
        number(row["peer"]),
        number(row["limit"]),
        f"{100 * row['share']:.0f} %" if row["share"] else "",
        f"{number(goal)}{', met' if is_met else ''}" if goal else "",
    ]


def kernel_rows(results: list[dict[str, Any]]) -> list[str]:
    """Ours at every shape, and the fastest of the others."""
    names = (
        "kernel",
        "way",
        "error",
        "is_right",
        "median_us",
        "least_us",
        "most_us",
        "recorded",
        "bytes",
        "gb_per_s",
        "tflop_per_s",
        "share",
        "commit",
    )
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in results:
        shape = ", ".join(f"{name} {value:,}" for name, value in row.items() if name not in names)
        found.setdefault((row["kernel"], shape), []).append(row)
    lines = []
    for (kernel, shape), rows in found.items():
        timed = [row for row in rows if "median_us" in row]
        ours = next((row for row in timed if row["way"] == "triton"), None)
        others = sorted((row for row in timed if row is not ours), key=lambda row: row["median_us"])
        if ours:
            rate = f"{ours['tflop_per_s']:.0f} TFLOP/s" if "tflop_per_s" in ours else f"{ours['gb_per_s']:,.0f} GB/s"
            peer = f"{others[0]['way']} {number(others[0]['median_us'])}" if others else ""
            lines.append(f"| {kernel} | {shape} | {number(ours['median_us'])} | {rate} | {100 * ours['share']:.0f} % | {peer} |")
    return lines


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    main()
