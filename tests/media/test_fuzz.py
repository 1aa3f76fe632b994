"""The fuzzer itself: that it still runs, and that its samples are read whole, or its counts would say nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[2] / "tools" / "fuzz_media.py"


@pytest.mark.parametrize("kind", ["pictures", "videos", "documents", "offices"])
def test_a_handful_of_damaged_files_ends_well(kind):
    run = subprocess.run(
        [sys.executable, FUZZER, "--kind", kind, "--count", "12"], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads(run.stdout)
    assert report["files"] == 12
    assert sum(report["outcomes"].values()) == 12
    assert report["outcomes"].keys() - {"ok"}  # the wounds are deep enough for some files to be refused
    assert report["descriptors_and_processes"]["before"] == report["descriptors_and_processes"]["after"]
