"""OpenAI's package for Node, where there are Node and the package (`cd tests/clients/node && npm ci`)."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "node"
INVOICE = Path(__file__).parents[2] / "examples" / "invoice.png"


@pytest.mark.skipif(not shutil.which("node") or not (HERE / "node_modules" / "openai").is_dir(), reason="no Node, or no npm ci")
def test_openai_for_node(nano):
    command = ["node", "chat.mjs", f"http://127.0.0.1:{nano.port}/v1", "nano", str(INVOICE)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("pieces") > 0
    assert said.pop("tokens") > 0
    assert said.pop("round") in ("stop", "length")
    assert said == {
        "models": ["nano"],
        "whole": "2024-0317",
        "streamed": "2024-0317",
        "file": "invoice.png",
        "uploaded": "2024-0317",
        "deleted": True,
        "missing": "file_not_found",
        "call": ["tool_calls", "look", {"at": "sky"}],
        "words": [2, 4, 8],
        "formed": True,
        "response": ["2024-0317", "completed"],
        "events": "2024-0317",
        "items": 1,
        "forgotten": 404,
        "cancelled": True,
        "attached": True,
        "completion": True,
        "batch": ["one", "2024-0317"],
        "refused": [400, "invalid_value", "temperature"],
    }
