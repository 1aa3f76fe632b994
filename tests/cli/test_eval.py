"""`kimi-vl eval nano`, from the command line to the tables and the files."""

import json
from dataclasses import replace

import pytest
import torch

from kimi_vl.cli import eval as command
from kimi_vl.evaluation import report
from kimi_vl.evaluation.suite import TASKS, TIERS
from tests.tiny_checkpoint import scripted_llm, tokens_of

NO = "I cannot tell from this document."


@pytest.fixture
def nano(terminal):
    llm = scripted_llm(tokens_of(NO), name="nano", context=4000)
    llm.model.dtype = torch.float32
    return terminal.use(llm)


def evaluate(terminal, *arguments):
    return terminal.run("eval", "nano", *arguments)


def test_a_small_run_ends_in_a_table_a_document_and_a_journal(terminal, nano, tmp_path):
    output, journal = tmp_path / "out" / "scores.json", tmp_path / "journal.jsonl"
    arguments = ("--pack", "builtin", "--tiers", "T1,T3", "--tasks", "line,refusal,fields", "--limit", "2")
    result = evaluate(terminal, *arguments, "--output", str(output), "--journal", str(journal))
    assert result.code == 0, result.err
    document = json.loads(output.read_text())
    assert document["format"] == report.FORMAT
    assert len(document["checkpoint"]) == len(document["pack"]) == 64
    assert document["tiers"]["T1"].keys() == {"line", "fields", "refusal"}
    assert document["tiers"]["T1"]["fields"]["scores"]["exact"]["value"] == 0
    assert document["tiers"]["T3"]["fields"]["n"] == 2
    assert document["tiers"]["T1"]["refusal"]["n"] == 2
    assert len(journal.read_text().splitlines()) >= 6
    assert "T1    line" in result.out
    nano.model.features_seen = 0
    again = evaluate(terminal, *arguments, "--compare", str(output), "--journal", str(journal))
    assert again.code == 0
    assert "+0.0" in again.out


def test_without_a_pack_the_files_are_measured_and_the_rest_is_named(terminal, nano):
    result = evaluate(terminal, "--tasks", "refusal", "--limit", "1")
    assert result.code == 0
    assert "T2-files  refusal  1" in result.out
    for tier in ("T0", "T1", "T2"):
        assert f"{tier} left out: it is drawn from a data pack; make one with `python -m kimi_vl.training.synth.sources.build" in result.err
    assert "T3 left out" not in result.err


def test_the_suite_can_be_looked_at_without_a_model(terminal):
    result = evaluate(terminal, "--list")
    assert result.code == 0
    assert ["line", "one", "printed", "line,", "CER", "1.5", "%", "1.5", "%"] in [line.split() for line in result.out.splitlines()]
    assert "T2        held-out fonts, words and layouts; up to 500 questions per task" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tiers", "T7"), "there is no tier 'T7'; there are T0"),
        (("--tasks", "poetry"), "there is no task 'poetry'; there are line"),
        (("--limit", "-1"), "--limit is -1"),
        (("--limit", "many"), "invalid int value: 'many'"),
        (("--pack", "no/such/pack"), "no data pack at no/such/pack; make one with"),
        (("--compare", "no/such.json"), "--compare no/such.json does not exist"),
        (("--compare", __file__), "is no JSON document"),
        (("--output", "."), ". is a folder"),
        (("--pin",), "--pin needs --pack FOLDER"),
        (("--tiers", "T1"), "nothing can be measured here: T1 left out"),
        (("--device", "toaster", "--tasks", "line"), "device is 'toaster'"),
        (("--checkpoint", "no/such/folder", "--tasks", "line"), "no/such/folder"),
    ],
)
def test_nonsense_is_refused_in_one_line(terminal, arguments, message):
    result = evaluate(terminal, *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_another_suite_is_refused(terminal):
    result = terminal.run("eval", "everything")
    assert result.code == 2
    assert "invalid choice: 'everything'" in result.err


def test_a_document_of_something_else_is_not_compared_with(terminal, tmp_path):
    (tmp_path / "reading.json").write_text('{"results": {}}')
    result = evaluate(terminal, "--compare", str(tmp_path / "reading.json"))
    assert result.code == 2
    assert "pass what --output wrote" in result.err


def test_outside_a_clone_it_says_where_the_pictures_are(terminal, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    result = evaluate(terminal)
    assert result.code == 2
    assert "T3 left out, its pictures are in the repository; run this in a clone" in result.err


def test_missing_peers_are_named_before_the_model_is_loaded(terminal, monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("kimi_vl.evaluation.peers.PYTHON", str(tmp_path / "python"))
    result = evaluate(terminal, "--peers", "--tasks", "line")
    assert result.code == 2
    assert "apt-get install tesseract-ocr" in result.err


def test_pinning_writes_the_digests_of_every_drawn_question(terminal, monkeypatch, tmp_path):
    path = tmp_path / "pins.toml"
    few = tuple(task for task in TASKS if task.name in ("line", "counting"))
    monkeypatch.setattr(report, "PINS", path)
    monkeypatch.setattr("kimi_vl.evaluation.suite.TASKS", few)
    monkeypatch.setattr("kimi_vl.evaluation.suite.TIERS", tuple(replace(tier, size=2) for tier in TIERS))
    result = evaluate(terminal, "--pack", "builtin", "--pin")
    assert result.code == 0
    assert "6 sets of questions pinned in" in result.out
    assert path.read_text().count('" = "') == 6
