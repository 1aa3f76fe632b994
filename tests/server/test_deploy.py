"""What stands in `deploy/` says nothing that the server does not know."""

import json
import re
import shlex
from pathlib import Path

import pytest

from kimi_vl.cli.main import main
from tests.server.serving import HELLO

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_dashboard_asks_for_metrics_that_there_are(scripted):
    assert scripted.chat(HELLO).status_code == 200
    known = set(re.findall(r"^(kimi_vl_\w+)", scripted.client.get("/metrics").text, re.MULTILINE))
    board = json.loads((DEPLOY / "grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for expression in asked for name in re.findall(r"kimi_vl_\w+", expression)}
    labelled = {name.split("_total")[0] for name in names - known}  # counters with labels begin with their first event
    assert labelled <= {"kimi_vl_requests_cancelled"}
    families = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in known}
    shown = {re.sub(r"_(bucket|total)$", "", name) for name in names}
    assert families - shown == set()


def test_the_dashboard_s_panels_do_not_lie_on_each_other():
    places = [panel["gridPos"] for panel in json.loads((DEPLOY / "grafana.json").read_text())["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def commands():
    service = (DEPLOY / "kimi-vl.service").read_text()
    yield shlex.split(re.search(r"^ExecStart=(.*)$", service, re.MULTILINE)[1])
    yield json.loads(re.search(r"^ENTRYPOINT (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[1])


@pytest.mark.parametrize("command", commands(), ids=("systemd", "docker"))
def test_the_commands_are_taken(command, capsys, monkeypatch):
    """Every option is known: what is wrong is said of the last one, which nobody knows."""
    monkeypatch.setenv("KIMI_VL_API_KEY", "a-secret-of-mine")
    assert command[0].endswith("kimi-vl")
    arguments = [argument for argument in command[1:] if "CREDENTIALS" not in argument and argument != "--api-key-file"]
    assert main([*arguments, "--set", "nothing=1"]) == 2
    assert "there is no server option 'nothing'" in capsys.readouterr().err


def test_the_image_copies_files_that_there_are():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()]
    assert {"src", "requirements/base.lock"} <= set(copied)
    assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert [name for name in copied if f"!{name}" not in allowed] == []
