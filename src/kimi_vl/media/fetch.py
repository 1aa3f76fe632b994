"""The one place that fetches web addresses, for the command line, the server, batches and the library alike (RELIABILITY group J).

An address is read once, its host resolved once, every address of it checked, and the connection made to a checked one, with the host's
name for TLS and the Host header. Each redirect goes through the same. Nothing is taken from the environment: no proxies, no .netrc, no
cookies.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urljoin

from kimi_vl.errors import MediaError
from kimi_vl.media.addresses import Target, is_public, normal_host, not_allowed, parse

MiB = 1 << 20
CHUNK_BYTES = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
FAILED, TIMEOUT = "media_fetch_failed", "media_fetch_timeout"


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchPolicy:
    """What may be fetched, and what it may cost (RELIABILITY 2.1).

    `hosts`: where given, only these, compared exactly after normalisation. `private`: also addresses that are not public. Times are
    seconds; a file that may be larger than `small_bytes` has `large_seconds` in all, others `small_seconds`.
    """

    hosts: tuple[str, ...] | None = None
    private: bool = False
    ports: frozenset[int] = frozenset({80, 443})
    redirects: int = 3
    connect_seconds: float = 3.0
    small_seconds: float = 10.0
    large_seconds: float = 60.0
    small_bytes: int = 20 * MiB
    request_bytes: int = 256 * MiB


def system_resolver(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises: OSError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches by a policy. `resolve` and `connect` are replaced by tests, so that every check runs as it does in earnest."""

    policy: FetchPolicy = field(default_factory=FetchPolicy)
    resolve: Callable[[str, int], list[str]] = system_resolver
    connect: Callable[[tuple[str, int], float], socket.socket] = socket.create_connection
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """Write what lies at `url` to `into`, and return what to call it in messages.

        Raises: MediaError with the code url_not_allowed, media_fetch_failed, media_fetch_timeout or image_too_large.
        """
        policy = self.policy
        deadline = time.monotonic() + (policy.small_seconds if max_bytes <= policy.small_bytes else policy.large_seconds)
        retries = 1
        hops = 0
        target = self._allowed(url)
        name = f"the file at {target.url[:200]}"
        while True:
            try:
                with _Exchange(self, target, deadline) as exchange:
                    status = exchange.status
                    if status in REDIRECTS:
                        hops += 1
                        if hops > policy.redirects:
                            raise MediaError(f"{name} is behind more than {policy.redirects} redirects", FAILED)
                        target = self._allowed(urljoin(target.url, exchange.location))
                    elif status >= 500 and retries:
                        retries -= 1
                    elif status != 200:
                        raise MediaError(f"{name} could not be fetched: the server answered {status}", FAILED)
                    else:
                        exchange.write_to(into, max_bytes, name)
                        return name
            except TimeoutError:
                raise MediaError(f"{name} did not arrive within its time; download it first", TIMEOUT) from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                if isinstance(error, MediaError):
                    raise
                raise MediaError(f"{name} could not be fetched: {_reason(error)}", FAILED) from None

    def _allowed(self, url: str) -> Target:
        """The target of a URL whose host may be asked. Raises: MediaError."""
        target = parse(url, self.policy.ports)
        if self.policy.hosts is not None and target.host not in {normal_host(host) for host in self.policy.hosts}:
            raise not_allowed(url, "its host is not on the list of those allowed here")
        return target

    def open(self, target: Target, deadline: float) -> socket.socket:
        """A connection to an address of the target that has been checked, with TLS where it is wanted. Raises: MediaError, OSError."""
        addresses = self._addresses(target, deadline)
        failure: OSError = OSError("its host has no address")
        for address in addresses:
            left = min(self.policy.connect_seconds, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError
            try:
                sock = self.connect((address, target.port), left)
                break
            except OSError as error:
                failure = error
        else:
            raise failure
        if target.scheme == "http":
            return sock
        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            return self.tls().wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise

    def _addresses(self, target: Target, deadline: float) -> list[str]:
        """All addresses of the host, each of which may be asked: one that may not spoils the others, for the next answer might give it
        first.
        """
        if re.fullmatch(r"[0-9.]+", target.host) or ":" in target.host:
            found = [target.host]
        else:
            found = _within(lambda: self.resolve(target.host, target.port), deadline)
        if not self.policy.private and not all(map(is_public, found)):
            raise not_allowed(target.url, "its host is not on the public internet")
        return found


def _within(resolve: Callable[[], list[str]], deadline: float) -> list[str]:
    """The result of a call that knows no time limit. Raises: TimeoutError; what the call raises."""
    result: list[list[str]] = []
    failure: list[OSError] = []

    def run() -> None:
        try:
            result.append(resolve())
        except (OSError, UnicodeError) as error:
            failure.append(OSError(f"its host is not known ({type(error).__name__})"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError
    return result[0]


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({getattr(error, 'reason', '') or 'the connection was cut'})"
    if isinstance(error, (http.client.HTTPException, ValueError)):
        return f"the server does not speak HTTP properly ({type(error).__name__})"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__


class _Exchange:
    """One question and the head of its answer, over a connection of its own."""

    def __init__(self, fetcher: Fetcher, target: Target, deadline: float) -> None:
        self._sock = fetcher.open(target, deadline)
        try:
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.sock = _Timed(self._sock, deadline)
            connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            for header, value in (
                ("Host", target.authority),
                ("User-Agent", "kimi-vl"),
                ("Accept", "*/*"),
                ("Accept-Encoding", "identity"),
            ):
                connection.putheader(header, value)
            connection.putheader("Connection", "close")
            connection.endheaders()
            self._response = connection.getresponse()
        except BaseException:
            self._sock.close()
            raise
        self.status = self._response.status
        self.location = self._response.getheader("Location", "")

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._sock.close()

    def write_to(self, into: BinaryIO, max_bytes: int, name: str) -> None:
        """The whole body. Raises: MediaError for one that is packed, too large or cut short."""
        if self._response.getheader("Content-Encoding", "identity").strip().lower() != "identity":
            raise MediaError(f"{name} came compressed although that was not asked for", FAILED)
        promised = self._response.length  # None where the server does not say
        total = 0
        while promised is None or promised <= max_bytes:
            data = self._response.read(CHUNK_BYTES)
            if not data:
                break
            total += len(data)
            if total > max_bytes:
                break
            into.write(data)
        if (promised or 0) > max_bytes or total > max_bytes:
            raise MediaError(f"{name} is larger than the limit of {max_bytes:,} bytes; download it and make it smaller", "image_too_large")
        if promised is not None and total != promised:
            raise MediaError(f"{name} was cut short after {total:,} of {promised:,} bytes", FAILED)


class _Timed:
    """What http.client needs of a socket, each call of it within one deadline: a byte a second does not start the time anew.

    Closing is left to the exchange: http.client lets go of the socket once it has the head of an answer, and reads the body afterwards.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def in_time(self) -> socket.socket:
        """The socket, with what is left of the time. Raises: TimeoutError."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock

    def sendall(self, data: bytes) -> None:
        """As of a socket."""
        self.in_time().sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As of a socket."""
        return io.BufferedReader(_TimedReader(self))

    def close(self) -> None:
        """Nothing; see above."""


class _TimedReader(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.in_time().recv_into(buffer)


class RequestFetcher:
    """A fetcher for one request: the same address is fetched once, and all bodies together stay within the policy's `request_bytes`
    (J11).
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._left = fetcher.policy.request_bytes
        self._known: dict[str, tuple[str, bytes]] = {}

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """As `Fetcher.fetch`."""
        if url not in self._known:
            body = io.BytesIO()
            name = self._fetcher.fetch(url, body, min(max_bytes, self._left))
            self._left -= body.tell()
            self._known[url] = (name, body.getvalue())
        name, data = self._known[url]
        into.write(data)
        return name
