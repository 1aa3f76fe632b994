"""Group R: who may ask, what is whose, and what no log, label or error ever says."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import structlog
from fastapi.routing import APIRoute

from kimi_vl.errors import ConfigError
from kimi_vl.server import ServerOptions
from kimi_vl.server import options as options_module
from kimi_vl.server.access import Access
from kimi_vl.server.errors import ApiError
from tests.server.serving import HELLO, ScriptedModel, refused, served

KEYS = (("anna", "anna-secret-1"), ("ben", "ben-secret-22"))
ANNA, BEN = ({"authorization": f"Bearer {secret}"} for _, secret in KEYS)
OPEN = {"/", "/health", "/health/live", "/ready", "/assets/{name:path}"}


@pytest.fixture(scope="module")
def guarded():
    with served(ScriptedModel(), keys=KEYS) as server:
        yield server


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_a_public_address_wants_a_key(host):
    with pytest.raises(ConfigError, match="API key"):
        ServerOptions(host=host)
    assert ServerOptions(host=host, keys=KEYS).known_hosts is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quue_s": 1}, "did you mean 'queue_s'"),
        ({"queue_s": 0}, "queue_s"),
        ({"queue_s": float("nan")}, "queue_s"),
        ({"body_bytes": "1"}, "body_bytes"),
        ({"port": 65536}, "port"),
        ({"keys": (("a", "short"),)}, "8 printable"),
        ({"keys": (("a", "long-enough"), ("a", "long-enough-2"))}, "same name"),
        ({"media_folders": ("/nowhere",)}, "no folder"),
    ],
)
def test_options_that_cannot_be(values, message):
    with pytest.raises(ConfigError, match=message):
        ServerOptions.from_dict(values)


def test_every_option_is_read_somewhere():
    """One that is taken and means nothing would be a wrong answer."""
    own = Path(options_module.__file__)
    read = {name for path in own.parent.rglob("*.py") for name in re.findall(r"options\.(\w+)", path.read_text(encoding="utf-8"))}
    read |= set(re.findall(r"self\.(\w+)", own.read_text(encoding="utf-8"))) | {"videos", "documents"}  # these two by their names
    assert {field.name for field in fields(ServerOptions)} - read == set()


def test_every_route_but_the_open_ones_wants_a_key(guarded):
    routes = [route for route in guarded.app.routes if hasattr(route, "path")]
    assert {route.path for route in routes} >= OPEN | {"/v1/models", "/v1/chat/completions", "/v1/files", "/metrics", "/openapi.json"}
    for route in routes:
        for method in ("GET", "POST", "DELETE", "PUT", "OPTIONS", "PATCH"):
            response = guarded.client.request(method, route.path.replace("{", "").replace("}", ""))
            if route.path in OPEN:
                assert response.status_code != 401, route.path
            elif route.path.startswith("/v1/messages"):
                assert response.status_code == 401
                assert response.json()["error"]["type"] == "authentication_error"
            else:
                refused(response, 401, "invalid_api_key")
    assert any(isinstance(route, APIRoute) for route in routes)
    refused(guarded.client.get("/v1/nothing"), 401, "invalid_api_key")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong-secret"},
        {"authorization": "Basic anna-secret-1"},
        {"authorization": "Bearer " + "x" * 60_000},
        {"authorization": b"Bearer \xff\xfe"},
        [("authorization", "Bearer anna-secret-1"), ("authorization", "Bearer wrong")],
        {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "localhost"},
    ],
)
def test_keys_that_are_none(guarded, headers):
    refused(guarded.client.get("/v1/models", headers=headers), 401, "invalid_api_key")
    refused(guarded.client.get("/v1/models?api_key=anna-secret-1", headers=headers), 401, "invalid_api_key")


@pytest.mark.parametrize("headers", [ANNA, {"authorization": "bearer  anna-secret-1"}, {"x-api-key": "anna-secret-1"}])
def test_a_key_is_a_tenant(guarded, headers):
    assert guarded.client.post("/v1/chat/completions", json={"model": "scripted", "messages": HELLO}, headers=headers).status_code == 200
    assert guarded.model.questions[-1].tenant == "anna"


def test_what_one_key_may_do_at_once_and_in_a_minute():
    now = [0.0]
    access = Access(ServerOptions(keys=KEYS, key_requests=2, key_per_minute=4), clock=lambda: now[0])

    def admit(tenant="anna"):
        context = access.admitted(tenant, "/v1/models")
        context.__enter__()
        return context

    first, second = admit(), admit()
    with pytest.raises(ApiError) as caught:
        admit()
    assert (caught.value.status, caught.value.code) == (429, "rate_limit_exceeded")
    assert admit("ben")
    first.__exit__(None, None, None)
    third = admit()
    for context in (second, third):
        context.__exit__(None, None, None)
    with access.admitted("anna", "/v1/models") as headers:
        assert dict(headers)[b"x-ratelimit-remaining"] == b"0"
    now[0] = 30.0
    with pytest.raises(ApiError) as caught:
        admit()
    assert caught.value.headers["Retry-After"] == "30"
    now[0] = 60.0
    assert admit()


def test_limits_of_a_key_are_told_and_are_nobody_elses():
    with served(ScriptedModel(), keys=KEYS, key_per_minute=2) as server:
        left = [server.client.get("/v1/models", headers=ANNA).headers["x-ratelimit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        refused(server.client.get("/v1/models", headers=ANNA), 429, "rate_limit_exceeded")
        assert server.client.get("/v1/models", headers=BEN).status_code == 200


def upload(server, headers=None, name="a.txt", data=b"hello", purpose="user_data"):
    return server.client.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose}, headers=headers or {})


def test_files_are_their_tenants(guarded):
    file = upload(guarded, ANNA).json()
    path = f"/v1/files/{file['id']}"
    assert guarded.client.get(path, headers=ANNA).json() == file
    response = guarded.client.get(f"{path}/content", headers=ANNA)
    assert response.content == b"hello"
    assert response.headers["content-disposition"] == "attachment"
    never = guarded.client.get("/v1/files/file-" + "0" * 32, headers=BEN)
    for theirs in (
        guarded.client.get(path, headers=BEN),
        guarded.client.delete(path, headers=BEN),
        guarded.client.get(f"{path}/content", headers=BEN),
    ):
        refused(theirs, 404, "file_not_found")
        assert theirs.content == never.content
    part = {"type": "image_url", "image_url": {"url": file["id"]}}
    body = {"model": "scripted", "messages": [{"role": "user", "content": [part]}]}
    refused(guarded.client.post("/v1/chat/completions", json=body, headers=BEN), 404, "file_not_found", "messages[0].content[0]")
    refused(guarded.client.post("/v1/chat/completions", json=body, headers=ANNA), 400, "unsupported_media", "messages[0].content[0]")
    assert guarded.client.get("/v1/files", headers=BEN).json()["data"] == []
    assert guarded.client.delete(path, headers=ANNA).json() == {"id": file["id"], "object": "file", "deleted": True}
    refused(guarded.client.get(path, headers=ANNA), 404, "file_not_found")


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../x", "x"), ("C:\\x", "x"), ("a" * 300, "a" * 200), ("\u202egnp.exe", "gnp.exe"), ("..", "file"), ("a\x7fb", "ab")],
)
def test_names_of_uploads_are_shown_and_never_a_path(scripted, name, shown):
    assert upload(scripted, name=name).json()["filename"] == shown


@pytest.mark.filterwarnings("ignore:Exception ignored.*SpooledTemporaryFile")  # Starlette leaves that of half an upload to the collector
def test_uploads_that_cannot_be(scripted):
    refused(upload(scripted, purpose="evil"), 400, "invalid_value", "purpose")
    refused(scripted.client.post("/v1/files", data={"purpose": "user_data"}, files={"other": b"x"}), 400, "invalid_value", "file")
    refused(scripted.client.post("/v1/files", json={}), 415, "unsupported_content_type")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf', b"junk" * 1000):
        response = scripted.client.post("/v1/files", content=body, headers=headers)
        assert response.status_code == 400, response.text
    many = {f"f{k}": "x" for k in range(10_000)}
    assert scripted.client.post("/v1/files", data=many, files={"file": b"x"}).status_code == 400
    long = {"content-type": "multipart/form-data; boundary=" + "x" * 300}
    assert scripted.client.post("/v1/files", content=b"--" + b"x" * 300, headers=long).status_code == 400


def test_uploads_have_limits_and_leave_nothing(tmp_path):
    with served(ScriptedModel(), data=str(tmp_path), files=2, files_bytes=1000, file_bytes=800) as server:
        refused(upload(server, data=b"x" * (2 << 20)), 413, "body_too_large")
        assert upload(server, data=b"x" * 700).status_code == 200
        refused(upload(server, data=b"x" * 700), 429, "quota_exceeded")
        kept = upload(server, data=b"y" * 100).json()
        refused(upload(server, data=b"x"), 429, "quota_exceeded")
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4
    [home] = (tmp_path / "files").iterdir()
    (home / "incoming-1").write_bytes(b"half")
    (home / "file-1.json").write_bytes(b"{")
    with served(ScriptedModel(), data=str(tmp_path)) as server:  # started anew
        assert {file["id"] for file in server.client.get("/v1/files").json()["data"]} >= {kept["id"]}
        assert server.client.get(f"/v1/files/{kept['id']}/content").content == b"y" * 100
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4


def test_nothing_that_anybody_said_is_logged(capfd):
    from kimi_vl.server.logs import configure

    configure()
    canary = "CANARY" + "7" * 20
    with served(ScriptedModel(), keys=(("anna", canary),)) as server:
        headers = {"authorization": f"Bearer {canary}"}
        messages = [{"role": "user", "content": canary}]
        server.client.post("/v1/chat/completions", json={"model": "scripted", "messages": messages}, headers=headers)
        server.client.post("/v1/chat/completions", json={"model": "scripted", "messages": messages, canary: 1}, headers=headers)
        server.model.script = type(server.model.script)(ZeroDivisionError())
        server.client.post("/v1/chat/completions", json={"model": "scripted", "messages": messages}, headers=headers)
        metrics = server.client.get("/metrics", headers=headers).text
    captured = capfd.readouterr()
    assert '"status": 500' in captured.err
    assert canary not in captured.err + captured.out + metrics
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "relative.png",
        "ftp://example.com/a.png",
        "http://127.0.0.1/a.png",
        "http://[::ffff:127.0.0.1]/a.png",
        "http://169.254.169.254/latest/meta-data",
        "gopher://x",
        "//host/a.png",
        "",
        "file-../../x",
    ],
)
def test_addresses_that_are_not_read(scripted, url):
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    response = scripted.chat(messages)
    assert response.status_code in (400, 404)
    code = response.json()["error"]["code"]
    refused(response, response.status_code, code)
    assert code in ("url_not_allowed", "file_not_found", "invalid_value")


def test_local_files_only_in_folders_that_are_allowed(tmp_path):
    from PIL import Image

    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        Image.new("RGB", (60, 40)).save(folder / "a.png")
    (allowed / "link.png").symlink_to(other / "a.png")
    (allowed / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxxx")
    with served(ScriptedModel(), media_folders=(str(allowed),)) as server:

        def ask(url):
            return server.chat([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])

        assert ask(str(allowed / "a.png")).status_code == 200
        assert ask(f"file://{allowed}/a.png").status_code == 200
        for url in (other / "a.png", f"{allowed}/../other/a.png", allowed / "link.png", f"file://host{allowed}/a.png", f"{allowed}\0"):
            refused(ask(str(url)), 400, "url_not_allowed", "messages[0].content[0]")
        assert str(tmp_path) not in refused(ask(str(allowed / "broken.png")), 400, "invalid_image")["message"]
        assert str(tmp_path) not in ask(str(allowed / "none.png")).text
        many = [{"type": "image_url", "image_url": {"url": "https://192.0.2.1/"}}] * 65
        refused(server.chat([{"role": "user", "content": many}]), 400, "too_many_media", "messages[0].content[64]")


def test_nothing_is_fetched_by_a_public_server_without_a_list():
    with served(ScriptedModel(), keys=KEYS, host="0.0.0.0") as server:
        part = {"type": "image_url", "image_url": {"url": "https://192.0.2.1/a.png"}}
        body = {"model": "scripted", "messages": [{"role": "user", "content": [part]}]}
        refused(server.client.post("/v1/chat/completions", json=body, headers=ANNA), 400, "url_not_allowed")
