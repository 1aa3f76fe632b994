"""Group A: what is no proper request never reaches a route, and is told so in the one shape; nothing waits for a slow sender for ever."""

import json
import re
import socket
import threading

import pytest

from tests.server.serving import Script, ScriptedModel, refused, served, until

BODY = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def request(extra: bytes = b"", body: bytes = BODY) -> bytes:
    return HEAD + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


def error_of(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


@pytest.mark.parametrize(
    "data",
    [
        request(b"Transfer-Encoding: chunked\r\n"),
        request(b"Content-Length: 3\r\n"),
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: +2\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    ],
    ids=["CL and TE", "two CL", "CL -1", "CL +2", "xchunked", "space before colon", "bad chunk", "TLS", "HTTP/2", "obs-fold"],
)
def test_what_is_no_http_is_400_and_the_connection_closed(scripted, data):
    asked = len(scripted.model.questions)
    smuggled = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = scripted.raw(data + smuggled, wait_s=5)
    assert statuses(answer) == [400], answer
    assert len(scripted.model.questions) == asked


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"", 400),
        (b"Host: x/docs?\r\n", 400),
        (b"Host: a@localhost\r\n", 400),
        (b"Host: localhost\r\nHost: localhost\r\n", 400),
        (b"Host: \r\n", 400),
        (b"Host: localhost:99999\r\n", 400),
        (b"Host: evil.example\r\n", 421),
        (b"Host: localhost.evil.example\r\n", 421),
        (b"Host: LOCALHOST:1\r\n", 200),
        (b"Host: [::1]:8000\r\n", 200),
    ],
)
def test_the_host_is_one_of_ours(scripted, host, status):
    answer = scripted.raw(b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n" + host + b"\r\n")
    assert statuses(answer) == [status]
    if status != 200:
        assert error_of(answer) == "bad_host"


@pytest.mark.parametrize(
    "header",
    [
        b"A: " + b"x" * 1_000_000,
        b"".join(b"A%d: x\r\n" % k for k in range(101)) + b"B: x",
        b"\r\n".join(b"A%d: x" % k for k in range(10_000)),
    ],
    ids=["1 MB", "101 headers", "10,000 headers"],
)
def test_header_blocks_that_are_too_large_are_431(scripted, header):
    answer = scripted.raw(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
    assert statuses(answer) == [431]
    assert error_of(answer) == "headers_too_large"


def test_a_header_of_many_small_pieces_is_counted_as_one():
    with served(ScriptedModel(), header_bytes=1000) as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nA: ")
        answer = b""
        for _ in range(100):
            try:
                sock.sendall(b"x" * 50)
            except OSError:
                break
        while part := sock.recv(65536):
            answer += part
        assert statuses(answer) == [431]


def test_whoever_is_late_is_told_408_and_let_go():
    with served(ScriptedModel(), header_s=0.2, body_s=0.5, body_rate=1 << 20) as server:
        assert statuses(server.raw(b"")) == [408]
        assert error_of(server.raw(b"GET /ready HTTP/1.1\r\nHost: loc")) == "request_timeout"
        answer = server.raw(HEAD + b'Content-Length: 100\r\n\r\n{"model"')
        assert statuses(answer) == [408]
        assert b"connection: close" in answer.lower()
        assert server.is_at_rest()


def test_a_header_on_a_kept_connection_has_its_own_time():
    with served(ScriptedModel(), header_s=0.3) as server:
        answer = server.raw(request() + b"GET /ready HTT")
        assert statuses(answer) == [200, 408]


def test_large_bodies_are_413_before_they_are_read():
    with served(ScriptedModel(), body_bytes=1000) as server:
        answer = server.raw(HEAD + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert statuses(answer) == [413]
        assert b"100 Continue" not in answer
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"100\r\n" + b" " * 256 + b"\r\n" for _ in range(8))
        assert statuses(server.raw(chunked)) == [413]
        assert statuses(server.raw(HEAD + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n")) == [413]
        assert server.chat().status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 200),
        ({"content-type": "application/json", "origin": "https://evil.example"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
    ],
)
def test_kinds_of_bodies_and_origins(scripted, headers, status):
    response = scripted.client.post("/v1/chat/completions", content=BODY, headers=headers)
    assert response.status_code == status
    if status != 200:
        refused(response, status, "not_permitted" if status == 403 else "unsupported_content_type")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "//v1/models", 404),
        ("GET", "/V1/models", 404),
        ("GET", "/v1/models/", 404),
        ("GET", "/v1/%2e%2e/models", 404),
        ("GET", "/v1/models%00", 404),
        ("GET", "/assets/../index.html", 404),
        ("GET", "/assets/%2e%2e/index.html", 404),
        ("GET", "/assets//etc/passwd", 404),
        ("GET", "/docs", 404),
    ],
)
def test_routes_that_there_are_not(scripted, method, path, status):
    answer = scripted.raw(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert statuses(answer) == [status], answer
    assert b"location:" not in answer.lower()
    assert error_of(answer) == {404: "route_not_found", 405: "method_not_allowed"}[status] or "model_not_found"
    assert (b"\r\nallow: " in answer) == (status == 405)


def test_pipelined_requests_get_their_own_answers(scripted):
    first, second = (BODY.replace(b"Hello", word) for word in (b"one", b"two"))
    before = len(scripted.model.questions)
    answer = scripted.raw(request(body=first) + request(body=b"[") + request(b"Connection: close\r\n", second))
    assert statuses(answer) == [200, 400, 200]
    decode = scripted.model.processor.tokenizer.decode
    texts = [decode(question.input_ids) for question in scripted.model.questions[before:]]
    assert ["one" in texts[0], "two" in texts[1]] == [True, True]


def test_a_client_that_closes_its_side_has_left():
    """Nothing tells it from one that is gone before something is written to it, and computing for nobody is worse."""
    with served(ScriptedModel(Script(threading.Event()))) as server:
        assert server.raw(request(), half_close=True) == b""
        assert server.is_at_rest()
        assert all(answer.closed for answer in server.model.answers)


def test_more_connections_than_allowed_are_sent_away_and_the_rest_go_on():
    with served(ScriptedModel(), connections=3) as server:
        socks = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(3)]
        assert until(lambda: len(server.runner.server_state.connections) == 3)
        assert statuses(server.raw(b"")) == [503]
        socks[0].close()
        assert until(lambda: len(server.runner.server_state.connections) == 2)
        assert server.client.get("/ready").status_code == 200
        for sock in socks:
            sock.close()


def test_nothing_that_a_client_says_breaks_a_line_of_the_log(capfd):
    from kimi_vl.server.logs import configure

    configure()
    with served(ScriptedModel()) as server:
        server.client.get("/v1/" + "a" * 3000 + "%0a%1b[31m", headers={"X-Request-Id": "mine", "User-Agent": "x" * 3000})
        assert server.client.get("/v1/models", headers={"X-Request-Id": "mine"}).headers["x-request-id"] != "mine"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines][:3] == ["listening", "request", "request"]
    assert len(lines[1]["path"]) == 256


def test_a_fault_behind_the_border_is_500_and_says_nothing_of_it(monkeypatch):
    with served(ScriptedModel()) as server:
        monkeypatch.setattr(server.service, "check_model", lambda name: 1 / 0)
        error = server.refused(500, "internal_error")
        assert "division" not in error["message"]
        monkeypatch.undo()
        assert server.chat().status_code == 200


def test_the_page_and_what_it_may_load(scripted):
    response = scripted.client.get("/")
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "trusted-types" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert scripted.client.get("/", headers={"if-none-match": response.headers["etag"]}).status_code == 304


def test_all_bodies_that_are_being_received_have_one_budget():
    with served(ScriptedModel(), receiving_bytes=1000) as server:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        sock.sendall(HEAD + b"Content-Length: 2000\r\n\r\n" + b" " * 900)
        assert until(lambda: server.service._receiving == 900)
        refused(server.chat([{"role": "user", "content": "x" * 200}]), 503, "server_is_overloaded")
        sock.close()
        assert until(lambda: server.service._receiving == 0)
        assert server.chat().status_code == 200


def test_many_slow_senders_hold_nobody_up():
    with served(ScriptedModel(), header_s=1.0) as server:
        socks = []
        for _ in range(50):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
            socks.append(sock)
        done = threading.Event()
        answers = []

        def ask():
            answers.append(server.client.get("/health").status_code)
            done.set()

        threading.Thread(target=ask).start()
        assert done.wait(5)
        assert answers == [200]
        assert server.chat().status_code == 200  # they take no place before they have been read
        for sock in socks:
            sock.close()
