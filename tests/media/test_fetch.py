"""The one fetcher against hosts that mean harm; each row of RELIABILITY J that is its business, by number."""

import contextlib
import io
import re
import socket
import ssl
import time
from pathlib import Path

import pytest

import kimi_vl
from kimi_vl.errors import MediaError
from kimi_vl.media import load_frames, load_image
from kimi_vl.media.addresses import is_public, parse
from kimi_vl.media.fetch import Fetcher, FetchPolicy, RequestFetcher
from tests.media.malicious_host import PUBLIC, Host, answer
from tests.media.pictures import blocks, encoded

PNG = encoded(blocks(), "PNG")
URL = "http://pictures.example.org/a.png"


@pytest.fixture
def host():
    with contextlib.closing(Host()) as host:
        host.answers["/a.png"] = answer(PNG)
        yield host


def refusal(fetcher, url=URL, max_bytes=1 << 20):
    with pytest.raises(MediaError) as caught:
        fetcher.fetch(url, io.BytesIO(), max_bytes)
    return caught.value.code, str(caught.value)


def code(fetcher, url=URL, max_bytes=1 << 20):
    return refusal(fetcher, url, max_bytes)[0]


def test_a_picture_is_fetched_and_named_by_its_address(host):
    into = io.BytesIO()
    assert host.fetcher().fetch(URL, into, 1 << 20) == f"the file at {URL}"
    assert into.getvalue() == PNG
    assert host.dialled == [PUBLIC]
    assert load_image(URL, fetcher=host.fetcher()).tobytes() == blocks().tobytes()
    assert len(load_frames(URL, fetcher=host.fetcher())) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a", "gopher://example.org/", "jar:http://example.org/a!/b", "//example.org/a", "",
            "http+unix://%2Frun%2Fx/", "http:example.org", "http:/example.org/a", "https:///a", "data:text/plain,x", "x" * 3000]
)  # fmt: skip
def test_j1_other_schemes_and_shapes_are_refused(host, url):
    assert code(host.fetcher(), url) == "url_not_allowed"
    assert host.dialled == []


NOT_PUBLIC = """127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200 0.0.0.0
0.1.2.3 240.0.0.1 255.255.255.255 224.0.0.1 239.1.1.1 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1 168.63.129.16
::1 :: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 ff02::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1
2001:db8::1 100::1 fec0::1 3fff::1 5f00::1""".split()


def test_j2_addresses_that_are_not_public_are_all_refused_in_the_same_words(host):
    said = set()
    for address in NOT_PUBLIC:
        fetcher = host.fetcher({"inner.example.org": [address]})
        said.add(refusal(fetcher, "http://inner.example.org/a.png"))
    assert said == {
        ("url_not_allowed", "the address 'http://inner.example.org/a.png' is not fetched: its host is not on the public internet"),
    }
    assert host.dialled == []
    assert all(map(is_public, ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "100.63.255.255", "100.128.0.0", "172.32.0.1", "11.0.0.0")))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/a", "http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001", "http://①②⑦.0.0.1/",
            "http://localhost/", "http://localhost./", "http://LOCALHOST/", "http://a.localhost/", "http://metadata/", "http://metadata.google.internal/",
            "http://a\\@127.0.0.1/", "http://user@example.org/", "http://user:secret@example.org/", "http://example.org:80:80/", "http://example.org:99999/",
            "http://example.org:0/", "http://example.org:22/", "http://exa mple.org/", "http://example.org/a b", "http://example.org/\t", "http://exam\nple.org/",
            "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[127.0.0.1]/", "http://::1/", "http://%31%32%37.0.0.1/",
            "http://1.2.3/", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://-a.example.org/",
            "http://a..example.org/", "http://.example.org/", "http:///",
            "http://example.org:/a", "http://127。0。0。1/", "http://" + "a" * 64 + ".org/", "http://example.org\u00a0/", "http://exa\u200bmple/"]
)  # fmt: skip
def test_j3_odd_spellings_are_refused_before_anything_is_dialled(host, url):
    assert code(host.fetcher(), url) == "url_not_allowed"
    assert host.dialled == []


def test_j3_a_name_that_resolves_to_an_inner_address_is_refused(host):
    assert code(host.fetcher({"10.0.0.1.nip.io": ["10.0.0.1"]}), "http://10.0.0.1.nip.io/") == "url_not_allowed"


def test_j3_the_reading_that_decides_is_the_one_that_connects():
    target = parse("HTTPS://Bücher.Example.ORG.:443/ä b?q=ü#part".replace(" ", "%20"))
    assert (target.scheme, target.host, target.port, target.path) == ("https", "xn--bcher-kva.example.org", 443, "/%C3%A4%20b?q=%C3%BC")
    assert parse("http://example.org?q").path == "/?q"
    assert parse("http://[2606:4700::1111]/").authority == "[2606:4700::1111]"


def test_j4_the_connection_goes_to_the_address_that_was_checked(host):
    answers = [[PUBLIC], ["127.0.0.1"]]
    fetcher = Fetcher(resolve=lambda name, port: answers.pop(0), connect=host.connect)
    fetcher.fetch(URL, io.BytesIO(), 1 << 20)
    assert (host.dialled, answers) == ([PUBLIC], [["127.0.0.1"]])
    assert "Host: pictures.example.org\r\n" in host.requests[0]


def test_j4_one_inner_address_among_public_ones_spoils_them(host):
    assert code(host.fetcher({"pictures.example.org": [PUBLIC, "10.0.0.1"]})) == "url_not_allowed"
    assert host.dialled == []


@pytest.mark.parametrize(
    "where", ["http://inner.example.org/", "http://127.0.0.1/", "file:///etc/passwd", "//inner.example.org/x", "gopher://a.org/"]
)
def test_j5_each_redirect_is_checked_like_the_first_address(host, where):
    host.answers["/a.png"] = answer(b"x" * 100, "302 Found", f"Location: {where}")
    assert code(host.fetcher({"inner.example.org": ["192.168.0.1"]})) == "url_not_allowed"
    assert host.dialled == [PUBLIC]


def test_j5_three_redirects_are_followed_and_four_or_a_loop_are_not(host):
    for number in range(4):
        host.answers[f"/{number}"] = answer(
            b"", "301 Moved", f"Location: /{number + 1}" if number < 3 else "Location: http://pictures.example.org/a.png"
        )
    into = io.BytesIO()
    host.fetcher().fetch("http://pictures.example.org/1", into, 1 << 20)
    assert into.getvalue() == PNG
    assert refusal(host.fetcher(), "http://pictures.example.org/0") == (
        "media_fetch_failed",
        "the file at http://pictures.example.org/0 is behind more than 3 redirects",
    )
    host.answers["/loop"] = answer(b"", "302 Found", "Location: /loop")
    assert code(host.fetcher(), "http://pictures.example.org/loop") == "media_fetch_failed"


def test_j5_the_body_of_a_redirect_is_not_read(host):
    host.answers["/start"] = answer(b"x", "301 Moved", "Location: /a.png", length=1 << 40)
    into = io.BytesIO()
    host.fetcher().fetch("http://pictures.example.org/start", into, 1 << 20)
    assert into.getvalue() == PNG


def drip(text, seconds):
    def run(connection):
        for k in range(len(text)):
            connection.sendall(text[k : k + 1])
            time.sleep(seconds)

    return run


@pytest.mark.parametrize(
    "behaviour",
    {
        "a byte at a time in the head": drip(answer(PNG), 0.05),
        "a byte at a time in the body": lambda connection: (connection.sendall(answer(b"", length=5000)), drip(PNG, 0.05)(connection)),
        "never answers": lambda connection: time.sleep(1),
    }.items(),
    ids=lambda item: item[0],
)
def test_j6_a_slow_server_ends_at_the_deadline(host, behaviour):
    host.answers["/a.png"] = behaviour[1]
    began = time.monotonic()
    assert code(host.fetcher(small_seconds=0.3)) == "media_fetch_timeout"
    assert time.monotonic() - began < 2


def test_j6_a_resolver_or_a_tls_handshake_that_hangs_ends_too(host):
    assert (
        code(Fetcher(FetchPolicy(small_seconds=0.2), resolve=lambda *_: time.sleep(0.6) or [PUBLIC], connect=host.connect))
        == "media_fetch_timeout"
    )
    silent = socket.create_server(("127.0.0.1", 0))
    fetcher = Fetcher(
        FetchPolicy(small_seconds=0.3),
        resolve=lambda *_: [PUBLIC],
        connect=lambda _, left: socket.create_connection(silent.getsockname(), left),
    )
    with silent:
        assert code(fetcher, "https://pictures.example.org/a.png") == "media_fetch_timeout"


def test_j7_too_much_is_refused_early_or_cut(host):
    host.answers["/a.png"] = answer(b"", length=1 << 40)
    assert code(host.fetcher()) == "image_too_large"

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    host.answers["/a.png"] = endless
    assert code(host.fetcher()) == "image_too_large"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + bytes(65536) + b"\r\n"
    host.answers["/a.png"] = lambda connection: connection.sendall(chunks + 30 * (b"10000\r\n" + bytes(65536) + b"\r\n"))
    assert code(host.fetcher()) == "image_too_large"


@pytest.mark.parametrize("headers", [(), ("Connection: close",), ("Connection: keep-alive",)])
def test_a_body_is_read_whole_whatever_the_server_says_of_the_connection(host, headers):
    body = PNG * 500
    for reply in (
        answer(body, "200 OK", *headers),
        b"HTTP/1.0 200 OK\r\n" + b"".join(h.encode() + b"\r\n" for h in headers) + b"\r\n" + body,
    ):
        host.answers["/a.png"] = reply
        into = io.BytesIO()
        host.fetcher().fetch(URL, into, 1 << 20)
        assert into.getvalue() == body


def test_j7_exactly_as_much_as_allowed_is_taken(host):
    host.fetcher().fetch(URL, io.BytesIO(), len(PNG))
    assert code(host.fetcher(), max_bytes=len(PNG) - 1) == "image_too_large"


def test_j7_a_body_that_is_cut_short_packed_or_misframed_is_refused(host):
    for reply in (
        answer(PNG[:-10], length=len(PNG)),
        answer(PNG, "200 OK", "Content-Encoding: gzip"),
        answer(PNG, "200 OK", "Content-Encoding: br"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"",
    ):
        host.answers["/a.png"] = reply
        assert code(host.fetcher()) == "media_fetch_failed", reply[:60]
    assert all("Accept-Encoding: identity\r\n" in request for request in host.requests)


def test_j8_a_login_page_that_says_it_is_a_picture_is_none(host):
    host.answers["/a.png"] = answer(b"<!DOCTYPE html><html>log in</html>", "200 OK", "Content-Type: image/png")
    with pytest.raises(MediaError, match=r"the file at http://pictures.example.org/a.png is an HTML page"):
        load_image(URL, fetcher=host.fetcher())


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "206 Partial Content", "204 No Content"])
def test_j9_other_answers_are_told_and_not_repeated(host, status):
    host.answers["/a.png"] = answer(b"", status)
    assert refusal(host.fetcher()) == ("media_fetch_failed", f"the file at {URL} could not be fetched: the server answered {status[:3]}")
    assert len(host.requests) == 1


def test_j9_a_servers_own_fault_is_tried_once_more(host):
    replies = [answer(b"", "503 Busy"), answer(PNG), answer(b"", "500 Oh"), answer(b"", "502 Oh")]
    host.answers["/a.png"] = lambda connection: connection.sendall(replies.pop(0))
    host.fetcher().fetch(URL, io.BytesIO(), 1 << 20)
    assert refusal(host.fetcher())[1].endswith("the server answered 502")
    assert replies == []


def test_j9_a_host_that_is_not_known_or_does_not_listen_is_one_clear_error(host):
    def unknown(name, port):
        raise socket.gaierror(-2, "Name or service not known")

    assert refusal(Fetcher(resolve=unknown)) == (
        "media_fetch_failed",
        f"the file at {URL} could not be fetched: its host is not known (gaierror)",
    )
    host.close()
    assert code(host.fetcher()) == "media_fetch_failed"


def test_j10_nothing_is_taken_from_the_environment(host, monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine pictures.example.org login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    host.answers["/a.png"] = answer(b"", "302 Found", "Set-Cookie: a=b", "Location: /b.png")
    host.answers["/b.png"] = answer(PNG)
    host.fetcher().fetch(URL, io.BytesIO(), 1 << 20)
    headers = {line.partition(":")[0].lower() for request in host.requests for line in request.splitlines()[1:] if line}
    assert headers == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_j11_the_same_address_is_fetched_once_and_all_share_one_budget(host):
    fetcher = RequestFetcher(host.fetcher(request_bytes=2 * len(PNG) + 10))
    for _ in range(50):
        into = io.BytesIO()
        fetcher.fetch(URL, into, 1 << 20)
        assert into.getvalue() == PNG
    assert len(host.requests) == 1
    host.answers["/a.png?2"] = host.answers["/a.png?3"] = answer(PNG)
    fetcher.fetch(URL + "?2", io.BytesIO(), 1 << 20)
    assert code(fetcher, URL + "?3") == "image_too_large"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("http://example.com/a.png", True), ("http://EXAMPLE.com./a.png", True), ("http://evil-example.com/a.png", False),
     ("http://example.com.evil.com/a.png", False), ("http://www.example.com/a.png", False), ("http://exаmple.com/a.png", False),
     ("http://example.co/a.png", False), ("http://bücher.example/a.png", True), ("http://xn--bcher-kva.example/a.png", True)]
)  # fmt: skip
def test_j12_the_list_of_hosts_is_matched_exactly_after_normalising(host, url, allowed):
    fetcher = host.fetcher(hosts=("Example.com", "bücher.example."))
    if allowed:
        fetcher.fetch(url, io.BytesIO(), 1 << 20)
    else:
        assert code(fetcher, url) == "url_not_allowed"
        assert host.dialled == []


def test_j12_a_redirect_leaves_the_list_no_more_than_the_address_does(host):
    host.answers["/a.png"] = answer(b"", "302 Found", "Location: http://other.org/a.png")
    assert code(host.fetcher(hosts=("pictures.example.org",))) == "url_not_allowed"


def test_tls_is_checked_for_the_name_that_was_asked(host):
    names = []

    class Context(ssl.SSLContext):
        def wrap_socket(self, sock, server_hostname=None):
            names.append(server_hostname)
            raise ssl.SSLCertVerificationError(1, "certificate verify failed")

    fetcher = Fetcher(resolve=lambda *_: [PUBLIC], connect=host.connect, tls=lambda: Context(ssl.PROTOCOL_TLS_CLIENT))
    found = refusal(fetcher, "https://pictures.example.org/a.png")
    assert (found[0], names) == ("media_fetch_failed", ["pictures.example.org"])
    context = Fetcher().tls()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_inner_addresses_only_by_a_policy_that_says_so(host):
    fetcher = host.fetcher({"pictures.example.org": ["10.0.0.1"]}, private=True)
    fetcher.fetch(URL, io.BytesIO(), 1 << 20)
    assert host.dialled == ["10.0.0.1"]


def test_no_fetcher_no_fetching():
    with pytest.raises(MediaError, match="nothing here fetches URLs"):
        load_image("https://example.org/a.png")


def test_j13_nothing_else_in_the_package_opens_a_web_address():
    package = Path(kimi_vl.__file__).parent
    clients = re.compile(r"^\s*(import|from) (http\.client|urllib\.request|urllib3|ftplib|aiohttp|httpx|requests)\b", re.MULTILINE)
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if clients.search(path.read_text(encoding="utf-8"))}
    assert found == {"media/fetch.py"}
    assert clients.search("    from urllib.request import urlopen")
