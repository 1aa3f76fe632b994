"""`kimi-vl doctor` against what is really here."""

import hashlib
import json
import platform
import re
import tomllib
from pathlib import Path

import pytest
import torch

from kimi_vl.checkpoint import locate
from kimi_vl.cli import doctor
from kimi_vl.media import conversion, sandbox
from kimi_vl.ops import explain
from tests.tiny_checkpoint import write_tiny_checkpoint


@pytest.fixture
def nano(monkeypatch, tmp_path):
    """A small checkpoint in nano's place."""
    folder = write_tiny_checkpoint(tmp_path / "nano")
    monkeypatch.setattr(locate, "_embedded", lambda: folder)
    return folder


def test_json_holds_versions_devices_implementations_and_nano(terminal, nano):
    result = terminal.run("doctor", "--json")
    report = json.loads(result.out)
    assert (result.code, result.err, report["problems"]) == (0, "", [])
    assert report["python"] == platform.python_version()
    # An installed wheel may leave out the local part of its version, as in 2.13.0+cu130.
    assert torch.__version__.startswith(report["packages"]["torch"])
    cpu = report["devices"][0]
    assert cpu["device"] == "cpu"
    assert cpu["threads"] == torch.get_num_threads()
    assert 1e8 < cpu["free_bytes"] < 1e14
    assert report["nano"]["files"]["config.json"] == {
        "bytes": (nano / "config.json").stat().st_size,
        "sha256": hashlib.sha256((nano / "config.json").read_bytes()).hexdigest(),
    }
    assert report["nano"]["bytes"] == sum(path.stat().st_size for path in nano.iterdir())


def test_the_implementations_are_those_that_would_be_chosen_with_every_reason(terminal, nano):
    report = json.loads(terminal.run("doctor", "--json").out)
    shown = {(e["operation"], e["implementation"]): (e["chosen"], e["reason"]) for e in report["implementations"] if e["device"] == "cpu"}
    assert shown == {(v.operation, v.name): (v.chosen, v.reason) for v in explain(torch.device("cpu"), torch.float32)}
    text = terminal.run("doctor").out
    assert "  * varlen_attention   sdpa       first that can run here\n" in text
    assert "    varlen_attention   flash      needs an NVIDIA GPU, the device is cpu\n" in text


def test_the_report_shows_every_package_and_file(terminal, nano):
    result = terminal.run("doctor")
    assert result.code == 0
    for name in (*doctor.REQUIRED, *doctor.OPTIONAL["train"], *(path.name for path in nano.iterdir())):
        assert f"  {name} " in result.out


def test_the_packages_looked_for_are_those_the_project_declares():
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements):
        return {re.split(r"[\[>=]", requirement)[0].replace("-", "_") for requirement in requirements}

    assert {name.replace("-", "_") for name in doctor.REQUIRED} == names(project["dependencies"])
    for extra, listed in doctor.OPTIONAL.items():
        assert {name.replace("-", "_") for name in listed} <= names(project["optional-dependencies"][extra])


def test_a_missing_nano_is_a_problem(terminal, monkeypatch, nano):
    (nano / "model.safetensors").unlink()
    result = terminal.run("doctor", "--json")
    report = json.loads(result.out)
    assert (result.code, report["nano"]) == (2, None)
    assert len(report["problems"]) == 1
    assert result.err == f"kimi-vl: {report['problems'][0]}\n"


def test_a_file_of_nano_that_was_changed_or_lost_is_a_problem(terminal, nano):
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in nano.iterdir()}
    (nano / "sha256.json").write_text(json.dumps(digests | {"gone.json": "00"}))
    assert [name in terminal.run("doctor").err for name in ("gone.json is missing", "is not the file that was shipped")] == [True, False]
    (nano / "sha256.json").write_text(json.dumps(digests | {"tiktoken.model": "00"}))
    result = terminal.run("doctor")
    assert result.code == 2
    assert "tiktoken.model is not the file that was shipped; install kimi-vl again" in result.err


def test_the_shipped_nano_is_what_its_manifest_says(terminal):
    folder = locate.locate_checkpoint()
    listed = json.loads((folder / "sha256.json").read_text(encoding="utf-8"))
    assert set(listed) == {path.name for path in folder.iterdir()} - {"sha256.json", "README.md"}
    assert json.loads(terminal.run("doctor", "--json").out)["problems"] == []


def test_a_missing_package_is_a_problem_and_an_optional_one_is_not(terminal, monkeypatch, nano):
    monkeypatch.setattr(doctor, "REQUIRED", ("torch", "no-such-package"))
    monkeypatch.setattr(doctor, "OPTIONAL", {"train": ("no-such-extra",)})
    result = terminal.run("doctor")
    assert result.code == 2
    assert "  no-such-package          missing\n" in result.out
    assert "  no-such-extra            not installed\n" in result.out
    assert result.err == "kimi-vl: the package no-such-package is missing; run: pip install kimi-vl\n"


def test_every_protection_of_the_decoding_processes_is_listed_with_whether_it_holds():
    report = doctor.examine()
    assert list(report["protections"]) == list(sandbox.PROTECTIONS)
    held = set(sandbox.protections())
    assert {name for name, holds in report["protections"].items() if holds} == held
    report["protections"]["network"] = False
    assert any("missing here: network" in line for line in doctor.lines(report))


def test_what_files_are_read_here_is_said_and_what_would_help(monkeypatch):
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: {"pillow-heif": "1.8.1"}.get(package) or version(package))
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/soffice")
    monkeypatch.setattr(conversion, "_run", lambda *_: (0, ""))
    said = doctor.lines(doctor.examine())
    assert "  pictures of telephones   HEIC: pillow-heif 1.8.1" in said
    where = conversion.libreoffice()
    assert f"  office documents         DOCX, PPTX, XLSX, ODT, ODP, ODS: LibreOffice, {where}" in said

    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "pillow-heif" else version(package))
    monkeypatch.setattr("shutil.which", lambda _: None)
    report = doctor.examine()
    assert report["problems"] == []  # answering takes neither
    assert {kind for kind, entry in report["media"].items() if entry["missing"]} == {"pictures of telephones", "office documents"}
    assert "  pictures of telephones   HEIC: not here; pip install 'kimi-vl[heif]'" in doctor.lines(report)
    assert any(
        line.startswith("  office documents") and "not here; install LibreOffice (e.g. `apt-get" in line for line in doctor.lines(report)
    )
