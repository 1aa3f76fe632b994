"""Pages of a PDF to pictures: pages a second and peak memory, of this package's reader beside poppler's pdftoppm at the same size.

    apt-get install poppler-utils
    python benchmarks/bench_pdf.py --output benchmarks/results/pdf.json

The document is made here, the same each time: 500 pages of A4 with 60 lines of text, rules, a table and a picture. Each tool draws every
page at 100 dpi (827×1169 pixels: 1,260 tokens) in one process of its own, to pixels and no further: pdftoppm writes raw PPM into a pipe
that is read and thrown away, the reader gives arrays that are dropped. Text with boxes is timed as well, beside `pdftotext -bbox`. The best
of `--repeats` runs counts, for all; the reader's seconds begin after Python's imports, poppler's with its process.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from kimi_vl.media.documents import read_document_pages, read_document_text

DPI = 100
WORDS = (
    "harbour vessel tonnage berth pilot cargo ledger quay dredger silt crane customs invoice storage weather signal tide chart depth"
).split()


def content(generator: random.Random, number: int) -> bytes:
    """Drawing commands of one page: heading, 60 lines, a table of 4 by 6 with tinted heads, rules, and the picture."""
    lines = [f"BT /F1 18 Tf 60 780 Td (Report, page {number}) Tj ET", "0.5 w 60 770 m 535 770 l S"]
    lines += [f"BT /F1 9 Tf 60 {750 - 9.5 * k:.1f} Td ({' '.join(generator.choices(WORDS, k=13))}) Tj ET" for k in range(60)]
    for row in range(6):
        for column in range(4):
            x, y = 60 + 80 * column, 150 - 18 * row
            lines.append(f"{'0.8 0.87 0.95' if row == 0 else '1 1 1'} rg {x} {y} 80 18 re B 0 g")
            lines.append(f"BT /F1 9 Tf {x + 5} {y + 5} Td ({generator.randint(100, 99999):,}) Tj ET")
    return "\n".join([*lines, "q 150 0 0 100 400 60 cm /I Do Q"]).encode()


def make_document(path: Path, pages: int) -> None:
    generator = random.Random(0)
    picture = bytes(min(255, max(0, x + y + generator.randint(-20, 20))) for y in range(80) for x in range(120) for _ in range(3))
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{10 + 2 * k} 0 R' for k in range(pages))}] >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: _stream(picture, "/Type /XObject /Subtype /Image /Width 120 /Height 80 /BitsPerComponent 8 /ColorSpace /DeviceRGB"),
    }
    for k in range(pages):
        resources = "/Resources << /Font << /F1 3 0 R >> /XObject << /I 4 0 R >> >>"
        objects[10 + 2 * k] = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {resources} /Contents {11 + 2 * k} 0 R >>".encode()
        objects[11 + 2 * k] = _stream(content(generator, k + 1))
    data, offsets = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        offsets[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, last = len(data), max(objects)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (last + 1)
    data += b"".join(b"%010d 00000 %c \n" % (offsets.get(n, 0), b"n" if n in offsets else b"f") for n in range(1, last + 1))
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (last + 1, start)
    path.write_bytes(data)


def _stream(content: bytes, entries: str = "") -> bytes:
    packed = zlib.compress(content, 9)
    return f"<< {entries} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode() + packed + b"\nendstream"


def child(mode: str, path: Path, pages: int) -> None:
    """What is measured of this package, in a process of its own; prints a line of JSON."""
    before, began, size = peak_mib("self"), time.perf_counter(), None
    numbers = list(range(1, pages + 1))
    with path.open("rb") as file:
        if mode == "pages":
            for part in read_document_pages(file, path.name, {"pages": numbers, "dpi": DPI}):
                assert part.pixels_HWC is not None
                size = part.pixels_HWC.shape[1::-1]
        else:
            for part in read_document_text(file, path.name, {"pages": numbers, "boxes": mode == "words"}):
                assert "error" not in part.facts
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mib": peak_mib("self"), "peak_of_imports_mib": before, "size": size}))


def peak_mib(process: int | str) -> float | None:
    """By /proc, because `ru_maxrss` of a child begins at what its parent had; None for a process that has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) / 1024, 1) if found else None


def ours(mode: str, path: Path, pages: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", mode, "--document", str(path), "--pages", str(pages)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def popplers(command: list[str]) -> dict[str, Any]:
    """Seconds and peak of one run whose output is read and dropped."""
    began, read, peak = time.perf_counter(), 0, None
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.read(20)
        while piece := process.stdout.read(1 << 20):
            read += len(piece)
            peak = peak_mib(process.pid) or peak
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    size = [int(n) for n in re.findall(rb"\d+", first)[1:3]] if first.startswith(b"P6") else None
    return {"seconds": time.perf_counter() - began, "peak_mib": peak, "size": size, "bytes": read + len(first)}


def best(runs: list[dict[str, Any]], pages: int) -> dict[str, Any]:
    fastest = min(runs, key=lambda run: run["seconds"])
    return {**fastest, "pages_per_second": round(pages / fastest["seconds"], 1), "all_seconds": [round(run["seconds"], 2) for run in runs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--document", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", choices=("pages", "words", "text"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.document, options.pages)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.pdf"
        make_document(path, options.pages)
        names = {"pages": "kimi_vl pages", "words": "kimi_vl words with boxes", "text": "kimi_vl text"}
        tools = {name: partial(ours, mode, path, options.pages) for mode, name in names.items()}
        if shutil.which("pdftoppm"):
            tools["pdftoppm"] = partial(popplers, ["pdftoppm", "-r", str(DPI), str(path)])
            tools["pdftotext -bbox"] = partial(popplers, ["pdftotext", "-bbox", str(path), "-"])
            tools["pdftotext"] = partial(popplers, ["pdftotext", str(path), "-"])
        else:
            print("pdftoppm is not installed and is left out: apt-get install poppler-utils", file=sys.stderr)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in tools}
        for _ in range(options.repeats):  # in turns, so that a busy moment of the machine falls on all
            for name, run in tools.items():
                runs[name].append(run())
        result = {
            "document": {"pages": options.pages, "bytes": path.stat().st_size},
            "dpi": DPI,
            "load": os.getloadavg()[0],
            "cpus": os.cpu_count(),
            "tools": {name: best(found, options.pages) for name, found in runs.items()},
        }
    text = json.dumps(result, indent=1)
    print(text)
    if options.output:
        options.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
