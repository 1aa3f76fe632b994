"""Groups K and L: who leaves frees everything, who comes too many is told at once, and the house is closed without losing an answer."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from kimi_vl.errors import CapacityError, CheckpointError, RequestFailed
from tests.server.serving import HELLO, Script, ScriptedModel, refused, served, until


def cancelled(server, stage):
    return server.service.metrics.registry.get_sample_value("kimi_vl_requests_cancelled_total", {"stage": stage}) or 0


def turned_away(server):
    """At the door."""
    labels = {"route": "other", "method": "POST", "status": "503"}
    return server.service.metrics.registry.get_sample_value("kimi_vl_requests_total", labels)


def opened(server, **fields):
    """A request that is being answered, as a context; leaving it closes the connection."""
    body = {"model": "scripted", "messages": HELLO, **fields}
    return server.client.stream("POST", "/v1/chat/completions", json=body)


def leave_early(server, **fields):
    """Ask, and be gone before there is an answer."""
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/chat/completions", json={"model": "scripted", "messages": HELLO, **fields}, timeout=0.1)


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"n": 2}, {"stream": True, "n": 2}])
def test_who_leaves_while_nothing_is_said_ends_the_answers(fields):
    with served(ScriptedModel(Script(threading.Event()))) as server:
        leave_early(server, **fields)
        assert server.is_at_rest()
        assert until(lambda: cancelled(server, "answering") == 1)
        assert len(server.model.answers) == fields.get("n", 1)
        assert all(answer.closed for answer in server.model.answers)


def test_who_leaves_in_the_middle_of_a_stream():
    with served(ScriptedModel(Script("a", "b", threading.Event()))) as server:
        with opened(server, stream=True) as response:
            lines = response.iter_lines()
            while '"content":"b"' not in next(lines):
                pass
        assert until(lambda: cancelled(server, "answering") == 1)
        assert server.is_at_rest()
        assert server.model.answers[0].closed


def test_who_leaves_the_queue_gives_up_the_place():
    gate = threading.Event()
    with served(ScriptedModel(Script(gate), max_running=1)) as server, ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        leave_early(server)
        assert until(lambda: server.service.admission.waiting == 0)
        gate.set()
        assert first.result().status_code == 200
        assert server.is_at_rest()
        assert len(server.model.answers) == 1


def test_a_long_wait_is_told_and_then_refused():
    gate = threading.Event()
    with served(ScriptedModel(Script(gate), max_running=1), queue_s=0.3, quiet_s=0.1) as server, ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        refused(server.chat(), 503, "queue_timeout")
        response = server.chat(stream=True)
        assert response.text.startswith(": still here\n\n")
        *_, error, done = [line for line in response.text.split("\n\n") if line.startswith("data")]
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "queue_timeout"
        assert done == "data: [DONE]"
        gate.set()
        assert first.result().status_code == 200
        assert server.is_at_rest()


def test_more_than_may_wait_are_sent_away_before_their_body_is_read():
    gate = threading.Event()
    with served(ScriptedModel(Script(gate), max_running=1), waiting=2) as server, ThreadPoolExecutor(3) as pool:
        inside = [pool.submit(server.chat) for _ in range(3)]
        assert until(lambda: server.service.admission.inside == 3)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        answer = server.raw(head, wait_s=1)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"server_is_overloaded" in answer
        assert b"retry-after: " in answer
        assert server.client.get("/ready").status_code == 200
        gate.set()
        assert [future.result().status_code for future in inside] == [200] * 3
        assert server.is_at_rest()


def small(path, body=b"{}", cut=0):
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body[: len(body) - cut]


def test_small_requests_are_turned_away_at_the_door():
    gate = threading.Event()
    with (
        served(ScriptedModel(Script(gate, "fine"), max_running=1), waiting=1) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        inside = [pool.submit(server.chat) for _ in range(2)]
        try:
            assert until(lambda: server.service.admission.inside == 2)
            head, _, body = server.raw(small("/v1/chat/completions")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"\r\nRetry-After: 2" in head
            assert b"\r\nConnection: close" in head
            assert json.loads(body)["error"]["code"] == "server_is_overloaded"
            head, _, body = server.raw(small("/v1/messages?beta=true")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 529")
            assert json.loads(body)["error"]["type"] == "overloaded_error"
            assert server.raw(small("/v1/messages", cut=1), wait_s=0.5).startswith(b"HTTP/1.1 529")  # of which the rest is not waited for
            assert server.raw(small("/v1/responses/resp_1/cancel")).startswith(b"HTTP/1.1 404")  # only makes room
            two = server.raw(small("/v1/chat/completions") * 2)  # one behind the other
            assert two.count(b"HTTP/1.1 503") == 1
            assert turned_away(server) == 2  # the others are counted by their own status
        finally:
            gate.set()  # or the pool would wait for them
        assert [one.result().status_code for one in inside] == [200, 200]
        assert server.chat().status_code == 200


def test_of_a_burst_as_many_come_in_as_fit():
    """All of it is read before any of it is answered; whoever has no place hears so at the door nevertheless."""
    gate, still, body = threading.Event(), threading.Event(), json.dumps({"model": "scripted", "messages": HELLO}).encode()
    with served(ScriptedModel(Script(gate, "fine"), max_running=1), waiting=1) as server, ExitStack() as opened:
        burst = [opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10)) for _ in range(20)]
        try:
            assert until(lambda: len(server.runner.server_state.connections) == 20)
            server.loop.call_soon_threadsafe(still.wait)
            for sock in burst:
                sock.sendall(small("/v1/chat/completions", body))
            still.set()
            assert until(lambda: turned_away(server) == 18)
            assert until(lambda: server.service.admission.inside == 2)
            assert server.service.admission.coming == 0
        finally:
            still.set()
            gate.set()
        first_lines = sorted(sock.recv(1000).partition(b"\r\n")[0] for sock in burst)
        assert first_lines == [b"HTTP/1.1 200 OK"] * 2 + [b"HTTP/1.1 503 Refused"] * 18  # the door's own words


def test_whoever_is_let_in_and_refused_gives_up_the_place():
    with served(ScriptedModel(Script("fine"), max_running=1), waiting=1) as server:
        for _ in range(3):
            refused(server.client.post("/v1/chat/completions", json={}), 400, "missing_parameter")
            assert server.raw(small("/v1/nothing"), wait_s=0.1).startswith(b"HTTP/1.1 404")
        assert server.service.admission.coming == 0
        assert server.chat().status_code == 200


def test_n_answers_take_n_slots():
    gate = threading.Event()
    with served(ScriptedModel(Script(gate), max_running=3)) as server, ThreadPoolExecutor(3) as pool:
        first = pool.submit(server.chat, n=2)
        assert until(lambda: server.service.admission.taken == 2)
        second = pool.submit(server.chat, n=2)
        assert until(lambda: server.service.admission.waiting == 1)
        third = pool.submit(server.chat)  # does not overtake, though it would fit
        assert until(lambda: server.service.admission.waiting == 2)
        gate.set()
        assert [len(future.result().json()["choices"]) for future in (first, second, third)] == [2, 2, 1]
        assert server.is_at_rest()


def test_an_answer_that_takes_too_long_ends():
    with served(ScriptedModel(Script("a", threading.Event())), request_s=0.2) as server:
        refused(server.chat(), 503, "request_timeout")
        assert server.is_at_rest()
        assert server.model.answers[0].closed


FAULTS = [
    (RequestFailed("secret"), 500, "internal_error"),
    (CheckpointError("the largest logit is nan"), 500, "model_output_invalid"),
    (CapacityError("out of memory"), 503, "server_is_overloaded"),
    (ZeroDivisionError("secret"), 500, "internal_error"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_fault_in_an_answer_is_its_own_alone(fault, status, code):
    with served(ScriptedModel(Script(fault))) as server:
        error = refused(server.chat(), status, code)
        assert "secret" not in error["message"]
        refused(server.chat(stream=True), status, code)  # nothing had been said: it has its status
        server.model.script = Script("a", fault)
        text = server.chat(stream=True).text
        assert f'"code":"{code}"' in text
        assert text.endswith("data: [DONE]\n\n")
        assert '"finish_reason":"stop"' not in text
        server.model.script = Script("fine")
        assert server.chat().json()["choices"][0]["message"]["content"] == "fine"
        assert server.is_at_rest()


def test_who_does_not_read_is_let_go():
    with served(ScriptedModel(Script(*["x" * 65536] * 1000)), slow_reader_s=0.3) as server:  # more than sockets hold
        with opened(server, stream=True) as response:
            parts = response.iter_raw(10)  # held on to: letting go of it would close the connection
            next(parts)
            assert until(lambda: cancelled(server, "answering") == 1, 10)
        assert server.is_at_rest()


def test_closing_lets_those_inside_finish_and_nobody_else_in():
    gate = threading.Event()
    with served(ScriptedModel(Script("a", gate, "b"))) as server, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        server.signal()
        assert until(lambda: server.service.admission.draining)
        refused(server.client.get("/ready"), 503, "draining")
        assert server.client.get("/health").status_code == 200
        refused(server.chat(), 503, "draining")
        gate.set()
        assert inside.result().json()["choices"][0]["message"]["content"] == "ab"
        server.join()
        assert server.runner.exit_code == 0
        assert server.model.stopped


def test_the_second_signal_does_not_wait():
    with served(ScriptedModel(Script("a", threading.Event()))) as server, opened(server, stream=True) as response:
        chunks = response.iter_lines()
        next(chunks)
        server.signal()
        assert until(lambda: server.service.admission.draining)
        server.signal()
        rest = "\n".join(chunks)
        assert '"code":"engine_restarting"' in rest
        assert rest.strip().endswith("data: [DONE]")
        server.join()


def test_a_grace_that_is_over_ends_what_is_left():
    with served(ScriptedModel(Script("a", threading.Event())), drain_s=0.1) as server, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(server.chat)
        assert until(lambda: server.service.admission.taken == 1)
        server.signal()
        refused(inside.result(), 503, "engine_restarting")
        server.join()


@pytest.mark.parametrize("what", ["failed", "hangs"])
def test_a_process_whose_engine_is_lost_exits_with_70(what, capfd):
    with served(ScriptedModel()) as server:
        assert server.client.get("/ready").status_code == 200
        if what == "failed":
            server.model.failure = RuntimeError("lost")
        else:
            server.model.step_s = 301.0
        assert server.client.get("/health").status_code == 200
        refused(server.client.get("/ready"), 503, "engine_restarting")
        server.join()
        assert server.runner.exit_code == 70
    assert ("Thread 0x" in capfd.readouterr().err) == (what == "hangs")


def test_metrics_say_what_happened(scripted):
    scripted.chat()
    text = scripted.client.get("/metrics").text
    assert 'kimi_vl_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    for name in ("kimi_vl_time_to_first_token_seconds_count", 'kimi_vl_tokens_total{kind="prompt"}', "kimi_vl_cache_pages 8.0"):
        assert name in text
    before = len(text.splitlines())
    for k in range(50):  # nothing that a client writes becomes a label
        scripted.client.get(f"/v1/nothing/{k}")
        scripted.client.post("/v1/chat/completions", json={"model": f"m{k}", "messages": HELLO})
    assert len(scripted.client.get("/metrics").text.splitlines()) < before + 60


def test_the_command_serves_and_ends_with_sigterm():
    """As a user has it: `kimi-vl serve` in a process of its own."""
    command = [sys.executable, "-m", "kimi_vl.cli.main", "serve", "--port", "0", "--set", "drain_s=5"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            records = (json.loads(line) for line in process.stderr if line.startswith("{"))
            port = next(record["port"] for record in records if record["event"] == "listening")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                assert client.get("/ready").json() == {"status": "ready", "model": "nano"}
                body = {"model": "nano", "messages": HELLO, "max_tokens": 3}
                assert client.post("/v1/chat/completions", json=body, timeout=60).json()["usage"]["completion_tokens"] == 3
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
