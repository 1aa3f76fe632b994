"""The benchmark program where no peer is installed, and how pieces that a peer detects become rows."""

import math
import os
import subprocess
import sys
from argparse import Namespace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from kimi_vl.evaluation.reading import Reading, load_documents

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name):
    spec = spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def boxes(*corners, degrees=0.0):
    """Boxes of height 10 at (x, y, width), turned about the origin."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    upright = np.array([[(x, y), (x + w, y), (x + w, y + 10), (x, y + 10)] for x, y, w in corners], float)
    return upright @ np.array([[c, s], [-s, c]])


@pytest.mark.parametrize("degrees", [-4.0, 0.0, 4.0])
def test_detected_pieces_become_rows_however_the_page_is_tilted(degrees):
    pieces = boxes((400, 30, 40), (0, 0, 60), (0, 31, 60), (400, 2, 40), degrees=degrees)
    assert load("peers").rows(pieces, ["3.45", "Milk", "Bread", "2.79"]) == "Milk 2.79\nBread 3.45"


def test_a_single_piece_is_a_row():
    assert load("peers").rows(boxes((5, 5, 20)), ["alone"]) == "alone"


def test_a_journal_spares_what_the_same_versions_have_read(tmp_path):
    bench = load("bench_reading")
    options = Namespace(set="examples", limit=0, journal=tmp_path / "readings.jsonl")
    documents = [d for d in load_documents(bench.SETS["examples"]) if d.text][:4]
    seen = []

    def tool(versions):
        def read(documents):
            for document in documents:
                seen.append(document.path.name)
                yield Reading(document, document.text, 1.0, 2.0)

        return lambda options: (versions, read)

    bench.TOOLS["perfect"] = tool({"version": "1"})
    bench.measure("perfect", documents[:2], options)
    result = bench.measure("perfect", documents, options)
    assert seen == [d.path.name for d in documents]
    assert [row["cer"]["value"] for row in result["reading"].values()] == [0.0] * 4
    assert result["answers"]["all"]["value"] == 1.0  # the rules find totals and dates in perfect text
    bench.TOOLS["perfect"] = tool({"version": "2"})
    bench.measure("perfect", documents[:1], options)
    assert len(seen) == 5


def test_missing_peers_are_named_with_the_way_to_install_them_and_left_out(tmp_path):
    command = [sys.executable, BENCHMARKS / "bench_reading.py", "--set", "examples", "--tools", "tesseract,rapidocr", "--limit", "1"]
    run = subprocess.run(
        [*command, "--peers-python", tmp_path / "python"], env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "tesseract left out: tesseract is not installed: apt-get install tesseract-ocr" in run.stderr
    assert "rapidocr left out:" in run.stderr
    assert "pip install rapidocr onnxruntime" in run.stderr
