"""Group S at the server: what browsers are told of an answer, and what they may send from elsewhere."""

import pytest

from tests.page.mock_server import PAGE
from tests.server.serving import refused

SCRIPT = b"<!doctype html><script>alert(1)</script>"
THOUSAND = {"range": "bytes=" + ",".join(f"{k}-" for k in range(1000))}


@pytest.fixture
def uploaded(scripted):
    """The path of an upload that is a page with a script."""
    file = scripted.client.post("/v1/files", files={"file": ("a.html", SCRIPT, "text/html")}, data={"purpose": "user_data"}).json()
    yield f"/v1/files/{file['id']}/content"
    scripted.client.delete(f"/v1/files/{file['id']}")


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/nothing", "/health"])
def test_every_answer_has_the_headers_that_keep_others_out(scripted, path):
    headers = scripted.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_the_policy_of_the_page_is_exactly_this(scripted):
    policy = dict(part.split(" ", 1) for part in scripted.client.get("/").headers["content-security-policy"].split("; "))
    closed = dict.fromkeys(("default-src", "base-uri", "frame-ancestors", "object-src"), "'none'")
    own = dict.fromkeys(("script-src", "style-src", "font-src", "connect-src", "form-action"), "'self'")
    media = {"img-src": "'self' blob: data:", "media-src": "'self' blob:"}
    assert policy == {**closed, **own, **media, "require-trusted-types-for": "'script'", "trusted-types": "dompurify"}


def test_an_upload_is_never_a_page_of_ours(scripted, uploaded):
    response = scripted.client.get(uploaded)
    assert response.content == SCRIPT
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize(
    "asked", [THOUSAND, {"range": "bytes=99999999-"}, {"range": "bytes=5-1"}, {"range": "junk"}, {"range": "bytes=0-0"}]
)
def test_ranges_are_passed_over(scripted, uploaded, asked):
    asset = next(path for path in (PAGE / "assets").iterdir() if path.suffix == ".js")
    for path, whole in ((uploaded, SCRIPT), (f"/assets/{asset.name}", asset.read_bytes())):
        response = scripted.client.get(path, headers=asked)
        assert (response.status_code, response.headers["accept-ranges"]) == (200, "none")
        assert response.content == whole


def test_what_is_said_to_one_client_is_kept_by_no_cache(scripted, uploaded):
    answers = [scripted.client.get(path) for path in (uploaded, "/v1/files", "/v1/nothing")]
    answers += [scripted.chat(), scripted.chat(stream=True), scripted.chat(temperature=3)]
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-store"}
    assert scripted.client.get("/").headers["cache-control"] == "no-cache"  # asked for again by its tag


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_no_page_from_elsewhere_reads_or_asks(scripted, origin):
    """No answer names an origin, so that no browser shows one to a foreign page; and nothing that it sends by itself is taken."""
    client, headers = scripted.client, {"origin": origin}
    asked = len(scripted.model.questions)
    preflight = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    answers = [client.get("/v1/models", headers=headers), client.options("/v1/chat/completions", headers=preflight)]
    upload = client.post("/v1/files", files={"file": ("a", b"x")}, data={"purpose": "user_data"}, headers=headers)
    chat = client.post("/v1/chat/completions", content=b"{}", headers={**headers, "content-type": "text/plain"})
    form = client.post("/v1/chat/completions", data={"model": "scripted"}, headers=headers)
    for response in (upload, chat, form, client.delete("/v1/files/file-1", headers=headers)):
        refused(response, 403, "not_permitted")
        answers.append(response)
    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert len(scripted.model.questions) == asked
