"""Reading and answering on pinned pictures: nano beside tesseract and RapidOCR, every tool on the very same pixels.

    python benchmarks/bench_reading.py --output benchmarks/results/reading.json
    python benchmarks/bench_reading.py --set examples --tools nano --limit 2

See benchmarks/README.md for how the peers are installed. A peer that is missing is reported as missing and left out.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image

from kimi_vl import KimiVL, __version__
from kimi_vl.checkpoint import locate_checkpoint
from kimi_vl.evaluation.reading import Document, Reading, examine, load_documents, parse_fields, score

HERE = Path(__file__).resolve().parent
SETS = {"reading": HERE / "reading", "examples": HERE.parent / "examples"}
RULED = frozenset({"total", "date"})  # questions that fixed rules answer from a transcription (kimi_vl.evaluation.reading)


# A tool that is ready: its versions, and what turns documents into readings.
Tool = tuple[dict, Callable[[list[Document]], Iterator[Reading]]]


class Missing(Exception):
    """A tool that is not installed here; the message says how to install it."""


def nano(options: argparse.Namespace) -> Tool:
    folder = locate_checkpoint(options.model or None)
    weights = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.safetensors")))).hexdigest()
    torch.set_num_threads(options.threads)
    llm = KimiVL.load(folder, device=options.device)
    versions = {"kimi-vl": __version__, "weights": weights[:12], "torch": torch.__version__, "device": options.device}
    return versions, lambda documents: examine(llm, documents, temperature=0.0)


def tesseract(options: argparse.Namespace, scale: int = 1) -> Tool:
    """`--psm 7` for lines and 6 (one block) for everything else; `scale` enlarges the picture first, as its manual advises."""
    if not shutil.which("tesseract"):
        raise Missing("tesseract is not installed: apt-get install tesseract-ocr")
    about = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True).stdout.split()
    limited = {**os.environ, "OMP_THREAD_LIMIT": str(options.threads)}

    def read(documents: list[Document]) -> Iterator[Reading]:
        with tempfile.TemporaryDirectory() as folder:
            for document in documents:
                picture = as_png(document.path, Path(folder), scale)
                command = ["tesseract", picture, "-", "--psm", "7" if document.family == "line" else "6"]
                wall, cpu = time.perf_counter(), child_seconds()
                text = subprocess.run(command, capture_output=True, text=True, check=True, env=limited).stdout
                yield Reading(document, text, time.perf_counter() - wall, child_seconds() - cpu)

    return {"tesseract": about[1], "scale": scale}, read


def tesseract_2x(options: argparse.Namespace) -> Tool:
    return tesseract(options, scale=2)


def rapidocr(options: argparse.Namespace) -> Tool:
    if not options.peers_python.exists():
        raise Missing(
            f"{options.peers_python} does not exist: python -m venv .venv-peers && .venv-peers/bin/pip install rapidocr onnxruntime"
        )
    command = [options.peers_python, HERE / "peers.py", str(options.threads)]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert peer.stdin is not None
    assert peer.stdout is not None
    greeting = peer.stdout.readline()
    if not greeting:
        raise Missing(f"{options.peers_python} cannot run RapidOCR; its complaint is above")

    def read(documents: list[Document]) -> Iterator[Reading]:
        with peer, tempfile.TemporaryDirectory() as folder:
            for document in documents:
                picture = as_png(document.path, Path(folder))
                print(json.dumps({"path": str(picture), "line": document.family == "line"}), file=peer.stdin, flush=True)
                yield Reading(document, **json.loads(peer.stdout.readline()))

    return json.loads(greeting)["versions"], read


TOOLS = {"nano": nano, "tesseract": tesseract, "tesseract-2x": tesseract_2x, "rapidocr": rapidocr}


def child_seconds() -> float:
    """CPU seconds of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def as_png(path: Path, folder: Path, scale: int = 1) -> Path:
    """The picture decoded once by Pillow, so that no tool depends on its own WebP or JPEG decoder."""
    target = folder / f"{path.stem}.png"
    with Image.open(path) as picture:
        grown = picture.convert("RGB").resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
        grown.save(target, compress_level=1)
    return target


def measure(tool: str, documents: list[Document], options: argparse.Namespace) -> dict:
    """Run one tool over all documents that its journal does not hold yet, and score everything."""
    about = {"machine": machine(), "limit": options.limit}
    versions, read = TOOLS[tool](options)
    names = {d.path: f"{options.set}/{d.path.relative_to(SETS[options.set])}" for d in documents}
    key = {"tool": tool, "versions": versions}
    known = {line["document"]: line for line in journal(options.journal) if all(line[k] == v for k, v in key.items())}
    readings = [Reading(d, **known[names[d.path]]["reading"]) for d in documents if names[d.path] in known]
    for reading in read([d for d in documents if names[d.path] not in known]):
        readings.append(reading)
        values = {k: v for k, v in asdict(reading).items() if k != "document"}
        if options.journal:
            with options.journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**key, "document": names[reading.document.path], "reading": values}, ensure_ascii=False) + "\n")
        if len(readings) % 20 == 0:
            print(f"{tool}: {len(readings)} of {len(documents)}", file=sys.stderr)
    if tool != "nano":
        readings = [parse_fields(reading) for reading in readings]
    return {**about, "versions": versions, **score(readings, None if tool == "nano" else RULED)}


def journal(path: Path | None) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path and path.exists() else []


def percent(estimate: dict | None) -> str:
    if estimate is None:
        return "-"
    value, low, high = (f"{100 * estimate[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} % ({low}–{high})" if estimate["n"] > 1 else f"{value} %"  # one document has no spread to resample


def tables(results: dict[str, dict]) -> str:
    """Two markdown tables, reading and answers, with 95 % intervals."""
    lines = [
        "| family | tool | documents | CER | CER without spaces | words found | money F1 | CPU s per image |",
        "|---|---|---|---|---|---|---|---|",
    ]
    families = dict.fromkeys(family for result in results.values() for family in result["reading"])
    for family in families:
        for tool, result in results.items():
            if row := result["reading"].get(family):
                scores = " | ".join(percent(row[key]) for key in ("cer", "cer_without_spaces", "words_found"))
                lines.append(
                    f"| {family} | {tool} | {row['documents']} | {scores} | {row['money']['f1']:.3f} | {row['cpu_seconds_per_image']:.2f} |"
                )
    tasks = dict.fromkeys(task for result in results.values() for task in result["answers"])
    lines += ["", f"| answers | n | {' | '.join(results)} |", f"|---|---|{'---|' * len(results)}"]
    for task in tasks:
        cells = [result["answers"].get(task) if task != "all" or tool == "nano" else None for tool, result in results.items()]
        if any(cells):
            n = next(cell["n"] for cell in cells if cell)
            lines.append(f"| {task} | {n} | {' | '.join(percent(cell) for cell in cells)} |")
    return "\n".join(lines)


def machine() -> dict[str, str | int | float]:
    """What ran it, and how busy it was already: a load above 0 makes the seconds on the clock too long."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    return {
        "cpu": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=SETS, default="reading", help="which pictures (default: %(default)s)")
    parser.add_argument("--families", default="", help="only these families, separated by commas")
    parser.add_argument("--limit", type=int, default=0, help="at most so many documents per family")
    parser.add_argument("--tools", default=",".join(TOOLS), help="separated by commas (default: %(default)s)")
    parser.add_argument("--model", default="", help="another checkpoint than the embedded nano")
    parser.add_argument("--device", default="cpu", help="where the model runs (default: %(default)s)")
    parser.add_argument("--peers-python", type=Path, default=HERE.parent / ".venv-peers/bin/python", help="Python with rapidocr installed")
    parser.add_argument("--output", type=Path, help="JSON file for the scores; tools it already has and that do not run now are kept")
    parser.add_argument("--threads", type=int, default=2, help="threads for each tool (default: %(default)s)")
    parser.add_argument("--journal", type=Path, help="JSON lines of all readings; what it holds of the same versions is not run again")
    return parser.parse_args()


def choose(options: argparse.Namespace) -> list[Document]:
    documents = load_documents(SETS[options.set])
    wanted = set(filter(None, options.families.split(",")))
    seen: dict[str, int] = {}
    chosen = []
    for document in documents:
        seen[document.family] = seen.get(document.family, 0) + 1
        if (not wanted or document.family.split("/")[0] in wanted) and (not options.limit or seen[document.family] <= options.limit):
            chosen.append(document)
    return chosen


def main() -> None:
    options = parse()
    documents = choose(options)
    results = json.loads(options.output.read_text())["results"] if options.output and options.output.exists() else {}
    for tool in options.tools.split(","):
        try:
            results[tool] = measure(tool, documents if tool == "nano" else [d for d in documents if d.text], options)
        except Missing as missing:
            print(f"{tool} left out: {missing}", file=sys.stderr)
            continue
        if options.output:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps({"set": options.set, "results": results}, indent=1) + "\n", encoding="utf-8")
    print(tables({tool: results[tool] for tool in TOOLS if tool in results}))


if __name__ == "__main__":
    main()
