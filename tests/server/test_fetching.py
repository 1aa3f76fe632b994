"""Group J through the door: what a server does of addresses that mean harm, by whichever route they come.

The fetcher itself, row by row: `tests/media/test_fetch.py`.
"""

import contextlib
import json
import socket
import threading
from dataclasses import replace

import pytest

from kimi_vl.media.fetch import Fetcher
from kimi_vl.server.openai import content
from tests.media.malicious_host import PUBLIC, Host, answer
from tests.media.pictures import blocks, encoded
from tests.server.serving import ScriptedModel, refused, served, until

PNG = encoded(blocks(), "PNG")
HERE = "http://pictures.example.org"
PART = "messages[0].content[0]"
INNER = {"inner.example.org": ["10.0.0.1"], "mixed.example.org": [PUBLIC, "127.0.0.1"]}


@pytest.fixture(scope="module")
def web():
    """A host on loopback that every address of the internet leads to, for whatever fetches in the server."""

    def fetcher(policy):
        quick = replace(policy, connect_seconds=0.5, small_seconds=0.5, large_seconds=0.5)
        return Fetcher(quick, resolve=lambda name, port: INNER.get(name, [PUBLIC]), connect=host.connect)

    with contextlib.closing(Host()) as host, pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "Fetcher", fetcher)
        yield host


@pytest.fixture(scope="module")
def server(web):
    with served(ScriptedModel()) as server:
        yield server


@pytest.fixture
def host(web):
    web.requests.clear()
    web.dialled.clear()
    web.answers = {"/a.png": answer(PNG)}
    return web


def picture(url):
    return {"type": "image_url", "image_url": {"url": url}}


def ask(server, *urls, **fields):
    return server.chat([{"role": "user", "content": [*map(picture, urls), {"type": "text", "text": "What is it?"}]}], **fields)


def test_a_picture_is_fetched_once_however_often_it_is_named(server, host):
    response = ask(server, *[f"{HERE}/a.png"] * 20)
    assert response.status_code == 200
    assert response.json()["usage"]["prompt_tokens_details"]["image_tokens"] > 20
    assert host.dialled == [PUBLIC]


def hold(connection):
    """Say nothing until whoever asks has gone."""
    connection.recv(1)


def redirect(to):
    return answer(b"", "302 Found", f"Location: {to}")


ANSWERS = [
    ("to an inner address", redirect("http://192.168.0.1/a.png"), "url_not_allowed"),
    ("to an inner name", redirect("http://inner.example.org/a.png"), "url_not_allowed"),
    ("to a file", redirect("file:///etc/passwd"), "url_not_allowed"),
    ("in a circle", redirect(f"{HERE}/x"), "media_fetch_failed"),
    ("nothing at all", hold, "media_fetch_timeout"),
    ("no such page", answer(b"", "404 Not Found"), "media_fetch_failed"),
    ("a login page", answer(b"<html>Log in", "200 OK", "Content-Type: image/png"), "unsupported_media"),
    ("too much", answer(b"", length=1 << 40), "image_too_large"),
    ("packed", answer(PNG, "200 OK", "Content-Encoding: gzip"), "media_fetch_failed"),
    ("half of it", answer(PNG[:60], length=len(PNG)), "media_fetch_failed"),
]


@pytest.mark.parametrize(("said", "code"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS])
def test_what_a_host_may_say_is_a_400_that_names_the_part(server, host, said, code):
    host.answers["/x"] = said
    refused(ask(server, f"{HERE}/x"), 400, code, PART)
    assert set(host.dialled) == {PUBLIC}
    assert ask(server, f"{HERE}/a.png").status_code == 200


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/a", "http://[fd00::1]/a", "http://127.1/a", "http://2130706433/a", "http://localhost./a", "http://100.64.0.1/a",
     "http://inner.example.org/a", "http://mixed.example.org/a", "http://u:p@127.0.0.1/a", "http://a\\@127.0.0.1/", "http://[::ffff:10.0.0.1]/"],
)  # fmt: skip
def test_nothing_inside_is_dialled_by_any_route_in_any_spelling(server, host, url):
    parts = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": [picture(url)]}]},
        "/v1/tokenize": {"messages": [{"role": "user", "content": [picture(url)]}]},
        "/v1/responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]},
        "/v1/messages": {
            "max_tokens": 5,
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}],
        },
    }
    for route, body in parts.items():
        response = server.client.post(route, json={"model": "scripted", **body})
        assert response.status_code == 400, (route, response.text)
        assert route == "/v1/messages" or response.json()["error"]["code"] == "url_not_allowed", response.text
    assert host.dialled == []


def test_addresses_inside_are_refused_in_the_same_words(server, host):
    urls = ("http://127.0.0.1/a", "http://169.254.169.254/a", "http://10.1.2.3/a", "http://[::1]/a")
    said = {refused(ask(server, url), 400, "url_not_allowed")["message"].replace(url, "") for url in urls}
    assert len(said) == 1


def test_a_public_server_fetches_from_its_list_and_from_nowhere_like_it(web, host):
    key = {"authorization": "Bearer anna-secret-1"}
    with served(ScriptedModel(), host="0.0.0.0", keys=(("anna", "anna-secret-1"),), media_hosts=("pictures.example.org",)) as server:
        server.client.headers.update(key)
        assert ask(server, f"{HERE}/a.png").status_code == 200
        for name in (
            "evil-pictures.example.org",
            "pictures.example.org.evil.com",
            "pictures.example.org@evil.com",
            "www.pictures.example.org",
        ):
            refused(ask(server, f"http://{name}/a.png"), 400, "url_not_allowed", PART)
        host.answers["/x"] = redirect("http://elsewhere.org/a.png")
        refused(ask(server, f"{HERE}/x"), 400, "url_not_allowed", PART)


def test_who_leaves_while_something_is_fetched_frees_the_place(server, host):
    fetching, go_on = threading.Event(), threading.Event()

    def slow(connection):
        fetching.set()
        go_on.wait(5)

    def left():
        return server.service.metrics.registry.get_sample_value("kimi_vl_requests_cancelled_total", {"stage": "preparing"}) or 0

    host.answers["/x"] = slow
    before = left()
    body = json.dumps({"model": "scripted", "messages": [{"role": "user", "content": [picture(f"{HERE}/x")]}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as sock:
        sock.sendall((head + body).encode())
        assert fetching.wait(5)
    assert until(lambda: left() == before + 1)
    go_on.set()
    assert server.is_at_rest()
