"""The table of nano's scores for docs/nano.md: `python tools/nano_table.py FILES.json DRAWN.json`, both of `kimi-vl eval nano --output`."""

import json
import sys
from pathlib import Path
from typing import Any

from kimi_vl.evaluation.suite import TASKS, Task

TIERS = (("T2-files", 0), ("T3", 0), ("T2", 1))  # column, which of the two files it is in


def main() -> None:
    reports = [json.loads(Path(name).read_text(encoding="utf-8"))["tiers"] for name in sys.argv[1:3]]
    print("| task | score | T2-files | T3 | T2, drawn | target |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        found = [reports[number].get(tier, {}).get(task.name) for tier, number in TIERS]
        if any(found):
            print(f"| {task.name} | {next(row for row in found if row)['metric']} | {' | '.join(map(cell, found))} | {target(task)} |")


def cell(row: dict[str, Any] | None) -> str:
    """ "98.2 % (94 to 100; 112)": the score, its 95 % interval, the number of questions or documents."""
    if row is None:
        return ""
    score = row["scores"][row["metric"]]
    value, low, high = (100 * score[name] for name in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.0f} to {high:.0f}; {row['n']})"


def target(task: Task) -> str:
    if task.target is None:
        return ""
    foreign = f", T3 {100 * task.foreign:g} %" if task.foreign is not None else ""
    return f"{100 * task.target:g} %{foreign}"


if __name__ == "__main__":
    main()
