"""From a name to a folder. The hub is a server on the loopback address that speaks the parts of its protocol a download needs."""

import hashlib
import json
import logging
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import huggingface_hub
import pytest
from huggingface_hub import constants

from kimi_vl.checkpoint import load_model, locate, locate_checkpoint, save_checkpoint
from kimi_vl.errors import CheckpointError
from kimi_vl.model import KimiVLForConditionalGeneration
from tests.checkpoint.files import TINY_CONFIG, random_state

REPO = "someone/Kimi-VL-toy"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_none_and_nano_are_the_folder_inside_the_package(monkeypatch, tmp_path):
    nano = tmp_path / "nano"
    nano.mkdir()
    (nano / "config.json").write_text("{}")
    monkeypatch.setattr(locate, "files", {"kimi_vl.checkpoint": tmp_path}.__getitem__)
    assert locate_checkpoint(None) == locate_checkpoint("nano") == locate_checkpoint() == nano


def test_an_installation_without_nano_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(locate, "files", {"kimi_vl.checkpoint": tmp_path}.__getitem__)
    with pytest.raises(CheckpointError, match=r"lacks the embedded checkpoint .*; reinstall kimi-vl"):
        locate_checkpoint()


def test_a_folder_with_a_config_is_itself(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert locate_checkpoint(tmp_path) == locate_checkpoint(str(tmp_path)) == tmp_path


def test_a_file_is_refused_with_the_folder_to_pass(tmp_path):
    for name, kind in (("model.safetensors", "is a file"), ("pytorch_model.bin", "is pickle weights, which are never read")):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(CheckpointError, match=f"{kind}; pass the folder .*here {tmp_path}"):
            locate_checkpoint(tmp_path / name)


def test_a_folder_without_a_config_says_what_it_holds_and_finds_the_snapshot_inside(tmp_path):
    (tmp_path / "blobs").mkdir()
    with pytest.raises(CheckpointError, match=r"has no config.json.*; it holds 'blobs'$"):
        locate_checkpoint(tmp_path)
    snapshot = tmp_path / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=f"did you mean {snapshot}"):
        locate_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "name", ["", "kimi", "a/b/c", "../x", "/gone/model", "https://huggingface.co/a/b", "a b/c", "a/b\n", "-x/y", "a/.."]
)
def test_anything_else_is_refused_without_asking_the_hub(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(CheckpointError, match=r"neither a folder nor a hub id|has no config.json"):
        locate_checkpoint(name)


def test_a_name_the_hub_library_rejects_is_one_sentence(hub):
    with pytest.raises(CheckpointError, match="'a/b--c' is neither a folder nor a valid hub id"):
        locate_checkpoint("a/b--c")
    assert hub.requests == []


# ------------------------------------------------------------------ a hub on the loopback address


class Hub(ThreadingHTTPServer):
    """Serves `files` of one repository (all but `broken_file`), or answers every request with `refusal` = (status, X-Error-Code)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[str, bytes] = {}
        self.refusal: tuple[int, str] | None = None
        self.broken_file = ""
        self.requests: list[str] = []


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self):
        self.server.requests.append(self.path)
        path = unquote(self.path.split("?")[0])
        if self.server.refusal:
            status, code = self.server.refusal
            return self.answer(b"{}", status, {"X-Error-Code": code, "X-Error-Message": "no"})
        if path.startswith(f"/api/models/{REPO}/revision/"):
            return self.answer(json.dumps({"id": REPO, "sha": COMMIT, "siblings": []}).encode())
        if path.startswith(f"/api/models/{REPO}/tree/"):
            return self.answer(json.dumps([self.described(name) for name in self.server.files]).encode())
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        if name == self.server.broken_file and self.command == "GET":
            return self.answer(b"", 403)
        content = self.server.files[name]
        etag = hashlib.sha1(content).hexdigest()
        return self.answer(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET

    def described(self, name):
        content = self.server.files[name]
        return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def answer(self, body, status=200, headers=None):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "disabled", True)
    monkeypatch.chdir(tmp_path)
    yield server
    server.shutdown()
    server.server_close()


def published(folder):
    """The files of a sharded toy checkpoint, and the kinds of file that must not travel."""
    save_checkpoint(random_state(), TINY_CONFIG, folder, max_shard_bytes=400_000)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {
        **files,
        "tiktoken.model": b"ranks",
        "chat_template.jinja": b"x",
        "modeling_kimi_vl.py": b"1/0",
        "pytorch_model.bin": b"\x80",
        "README.md": b"",
    }


def test_a_repository_is_downloaded_without_code_or_pickles_and_loads(hub, tmp_path):
    hub.files = published(tmp_path / "made")
    folder = locate_checkpoint(REPO)
    assert {path.name for path in folder.iterdir()} == hub.files.keys() - {"modeling_kimi_vl.py", "pytorch_model.bin", "README.md"}
    assert not any(re.search(r"\.(py|bin|md)", path) for path in hub.requests)
    model, _ = load_model(folder, KimiVLForConditionalGeneration)  # through the cache's links into blobs
    assert (model.state_dict()["language_model.lm_head.weight"] == random_state()["language_model.lm_head.weight"]).all()


def test_a_cached_repository_needs_no_network(hub, tmp_path):
    hub.files = published(tmp_path / "made")
    folder = locate_checkpoint(REPO)
    hub.requests.clear()
    assert locate_checkpoint(REPO) == folder
    assert hub.requests == []


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
def test_an_interrupted_download_is_completed(hub, tmp_path, monkeypatch, listed):
    hub.files = published(tmp_path / "made")
    (locate_checkpoint(REPO) / "model-00002-of-00005.safetensors").unlink()
    if not listed:  # caches of older libraries hold no listing that would tell what is missing
        shutil.rmtree(tmp_path / "cache" / "models--someone--Kimi-VL-toy" / "trees")
        (tmp_path / "cache").rename(tmp_path / "moved")  # the library remembers listings by path
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "moved"))
    hub.requests.clear()
    folder = locate_checkpoint(REPO)
    assert [request for request in hub.requests if "model-00002" in request]
    load_model(folder, KimiVLForConditionalGeneration)


def test_without_a_network_and_a_cache_the_next_step_is_named(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"the hub cannot be reached and no complete copy is cached; connect .* or pass 'nano'"):
        locate_checkpoint(REPO)
    assert hub.requests == []


def test_without_a_network_a_half_cached_repository_is_refused(hub, tmp_path, monkeypatch):
    hub.files = published(tmp_path / "made")
    (locate_checkpoint(REPO) / "model-00002-of-00005.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="no complete copy is cached"):
        locate_checkpoint(REPO)


def test_a_download_that_stops_is_one_sentence(hub, tmp_path):
    hub.files = published(tmp_path / "made")
    hub.broken_file = "tiktoken.model"
    with pytest.raises(CheckpointError, match=r"the download stopped \(.*\); run the same command again to resume") as caught:
        locate_checkpoint(REPO)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((404, "RepoNotFound"), "no such repository, or it is private; check the spelling"),
        ((401, "RepoNotFound"), "no such repository, or it is private; check the spelling"),
        ((403, "GatedRepo"), "access is gated; accept its terms"),
        ((500, ""), "cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(hub, refusal, words):
    hub.refusal = refusal
    with pytest.raises(CheckpointError, match=words) as caught:
        locate_checkpoint(REPO)
    assert str(caught.value).startswith(f"{REPO} cannot be loaded: ")
    assert "\n" not in str(caught.value)
