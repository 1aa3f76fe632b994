"""What a machine runs out of, and what is never done where it would hold everybody up (groups A, E, L, M and R)."""

import gc
import json
import logging
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from kimi_vl.cli.main import main
from kimi_vl.llm import AsyncKimiVL
from kimi_vl.processor.grammar import Grammar
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.server import files as files_module
from kimi_vl.server import logs
from kimi_vl.server import service as service_module
from kimi_vl.server.openai import content
from tests.media.pictures import blocks, encoded
from tests.server.serving import Script, ScriptedModel, refused, served, until


def upload(server, data=b"hello"):
    return server.client.post("/v1/files", files={"file": ("a.png", data)}, data={"purpose": "user_data"})


def test_without_file_descriptors_those_inside_are_answered_and_later_ones_again():
    """`accept` fails, which ends no loop; once there are some, whoever waited in the kernel's queue is let in."""
    gate = threading.Event()
    with served(ScriptedModel(Script(gate, "fine"))) as server, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        socks = [socket.socket() for _ in range(20)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        held: list[int] = []
        told: list[str] = []
        server.loop.call_soon_threadsafe(server.loop.set_exception_handler, lambda _, context: told.append(context["message"]))
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(name) for name in os.listdir("/proc/self/fd")) + 3, hard))
            with suppress(OSError):
                while True:
                    held.append(os.dup(0))
            os.close(held.pop())  # room for one of twenty
            for sock in socks:
                sock.connect(("127.0.0.1", server.port))
            assert until(lambda: any("out of system resource" in message for message in told), 5)
            assert len(server.runner.server_state.connections) <= 2
            gate.set()
            assert inside.result().status_code == 200
        finally:
            gate.set()
            for sock in socks:
                sock.close()
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert server.chat().status_code == 200


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_clock_that_is_set_moves_no_deadline(monkeypatch, by):
    gate, real = threading.Event(), time.time
    key = (("anna", "anna-secret-1"),)
    with served(ScriptedModel(Script(gate, "fine")), keys=key, key_per_minute=2) as server, ThreadPoolExecutor(1) as pool:
        server.client.headers.update({"authorization": "Bearer anna-secret-1"})
        inside = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        monkeypatch.setattr(time, "time", lambda: real() + by)
        gate.set()
        assert inside.result().status_code == 200
        assert server.chat().status_code == 200
        refused(server.chat(), 429, "rate_limit_exceeded")  # the minute is as long as it was


def test_a_full_disk_takes_no_upload_and_answers_all_the_same(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with served(ScriptedModel(), data=str(tmp_path)) as server:
        with monkeypatch.context() as patch:
            patch.setattr(files_module.os, "fsync", full)
            refused(upload(server), 503, "storage_full")
            assert server.chat().status_code == 200
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert upload(server).status_code == 200


def test_folders_of_uploads_are_nobody_elses(tmp_path):
    with served(ScriptedModel(), data=str(tmp_path)) as server:
        upload(server)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "files").rglob("*") if path.is_dir()}
    assert modes | {stat.S_IMODE((tmp_path / "files").stat().st_mode)} == {0o700}


PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]


@pytest.fixture
def opening(monkeypatch):
    """Pictures are opened for as long as the test wants: an event that is set while one is, and one that ends it."""
    began, go_on, real = threading.Event(), threading.Event(), content.open_medium

    def slow(source, **options):
        began.set()
        go_on.wait(10)
        return real(encoded(blocks(), "PNG"), **options)

    monkeypatch.setattr(content, "open_medium", slow)
    yield began, go_on
    go_on.set()


def test_whose_pictures_take_long_hold_up_no_text(opening):
    began, go_on = opening
    with served(ScriptedModel(), media_workers=1) as server, ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(server.chat, PICTURE) for _ in range(2)]
        assert began.wait(5)
        assert server.chat().status_code == 200
        assert not any(one.done() for one in slow)
        go_on.set()
        assert [one.result().status_code for one in slow] == [200, 200]


def test_who_leaves_while_pictures_are_opened_frees_the_place(opening):
    began, go_on = opening
    with served(ScriptedModel()) as server:
        body = str(PICTURE).replace("'", '"')
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        data = f'{{"model": "scripted", "messages": {body}}}'
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
            sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n{data}".encode())
            assert began.wait(5)
        assert server.is_at_rest()
        go_on.set()
        assert server.chat().status_code == 200
        assert len(server.model.questions) == 1  # the model was never asked about the pictures


def test_nothing_heavy_is_done_where_everybody_waits(monkeypatch):
    """Reading megabytes of JSON, making tokens of them, compiling a schema, opening a picture: in threads, not in the event loop's."""
    where: dict[str, set[str]] = {}

    def noted(name, real):
        def work(*arguments, **options):
            where.setdefault(name, set()).add(threading.current_thread().name)
            return real(*arguments, **options)

        return work

    monkeypatch.setattr(service_module, "decode", noted("json", service_module.decode))
    monkeypatch.setattr(Tokenizer, "encode", noted("tokens", Tokenizer.encode))
    monkeypatch.setattr(Grammar, "json_schema", noted("schema", Grammar.json_schema))
    monkeypatch.setattr(content, "open_medium", noted("picture", content.open_medium))
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "boolean"}}}
    with served(ScriptedModel()) as server:
        refused(server.chat([{"role": "user", "content": "word " * 100_000}], response_format=form), 400, "context_length_exceeded")
        server.chat(response_format=form)
        server.chat(PICTURE)
    assert where.keys() == {"json", "tokens", "schema", "picture"}
    assert "server" not in where["tokens"] | where["schema"] | where["picture"]
    assert any(name.startswith("text") for name in where["json"])  # small bodies are read where they come, which is quicker


def test_many_schemas_are_not_kept(scripted):
    def kept():
        gc.collect()
        return sum(type(one) is Grammar for one in gc.get_objects())

    before = kept()
    for k in range(40):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": f"number {k}"}}}
        assert scripted.chat(response_format=form).status_code == 200
    assert kept() <= before + 2


def test_a_port_that_is_taken_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(AsyncKimiVL, "load", lambda *_, **__: ScriptedModel())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kimi-vl")]
    assert len(said) == 1
    assert f"127.0.0.1:{port} cannot be listened on" in said[0]


def test_a_signal_while_weights_are_loaded_ends_the_process():
    """With no handler of ours in the way, and nothing that it started left behind."""
    script = """
        import sys, time
        from kimi_vl.cli.main import main
        from kimi_vl.llm import AsyncKimiVL
        AsyncKimiVL.load = lambda *_, **__: (print("loading", flush=True), time.sleep(60))
        sys.exit(main(["serve", "--port", "0"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout.readline() == "loading\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == -signal.SIGTERM
            with pytest.raises(ProcessLookupError):
                os.killpg(process.pid, 0)
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_what_is_said_by_logging_is_a_line_of_json_as_well(monkeypatch, capfd):
    """uvicorn warns of what is no HTTP, once for each connection."""
    monkeypatch.setattr(logging.root, "handlers", [])
    logs.configure()
    with served(ScriptedModel()) as server:
        server.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logging.getLogger("asyncio").exception("a task failed\nbadly")
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in said if line["level"] == "warning"] == ["Invalid HTTP request received."]
    [failed] = [line for line in said if line["level"] == "error"]
    assert failed["event"] == "a task failed\nbadly"
    assert "ZeroDivisionError" in failed["exception"]
