"""Clients for Python that are not among our requirements, where they are installed beside us; docs/serving.md says what was run."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INVOICE = HERE.parents[1] / "examples" / "invoice.png"
NUMBER = "2024-0317"


def said_by(script, nano):
    command = [sys.executable, script, f"http://127.0.0.1:{nano.port}", "nano", str(INVOICE)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not find_spec("litellm"), reason="no litellm")
def test_litellm(nano):
    by_either = [NUMBER, NUMBER, "look", {"at": "sky"}, 404]
    assert said_by("through_litellm.py", nano) == {"openai": by_either, "anthropic": by_either}


@pytest.mark.skipif(not find_spec("langchain_openai"), reason="no langchain-openai")
def test_langchain(nano):
    said = said_by("through_langchain.py", nano)
    assert said.pop("tokens") > 100
    assert said.pop("round") in ("stop", "length")
    assert said == {"whole": NUMBER, "streamed": NUMBER, "batch": [NUMBER] * 2, "call": "look", "object": ["number"]}
