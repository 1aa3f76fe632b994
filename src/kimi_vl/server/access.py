"""Who may ask: API keys, the tenants that they stand for, and what one key may do at once.

Every route is closed to whoever shows no key, where there are any, but for the page itself and for what a supervisor asks.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from kimi_vl.server.errors import ApiError
from kimi_vl.server.options import ServerOptions

OPEN_PATHS = frozenset({"/", "/health", "/health/live", "/ready"})
OPEN_FOLDER = "/assets/"
UNCOUNTED = OPEN_PATHS | {"/metrics"}
EVERYBODY = "everybody"
MINUTE = 60.0


class Access:
    """Knows the keys by their digests. Each key is compared in full, whichever is shown."""

    def __init__(self, options: ServerOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._digests = [(name, _digest(secret)) for name, secret in options.keys]
        self._options, self._clock = options, clock
        self._running: dict[str, int] = {}
        self._recent: dict[str, deque[float]] = {}

    def tenant(self, path: str, headers: Mapping[str, str]) -> str:
        """Whose request it is. Raises: ApiError 401, the same for a wrong key and for none."""
        if not self._digests:
            return EVERYBODY
        shown = _digest(_shown_key(headers))
        matches = [name for name, digest in self._digests if hmac.compare_digest(digest, shown)]
        if matches:
            return matches[0]
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return ""
        raise ApiError(
            401,
            "invalid_api_key",
            "this server wants an API key, sent as Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )

    @contextmanager
    def admitted(self, tenant: str, path: str) -> Iterator[list[tuple[bytes, bytes]]]:
        """While a request of a tenant runs; gives the headers that say how much is left. Raises: ApiError 429."""
        if not self._digests or not tenant or path in UNCOUNTED:
            yield []
            return
        running, recent = self._running.get(tenant, 0), self._recent.setdefault(tenant, deque())
        now, per_minute = self._clock(), self._options.key_per_minute
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        limits = {"X-RateLimit-Limit": str(per_minute), "X-RateLimit-Remaining": str(max(0, per_minute - len(recent) - 1))}
        if len(recent) >= per_minute:
            wait = max(1, round(recent[0] + MINUTE - now))
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"this key may send {per_minute:,} requests a minute",
                headers={"Retry-After": str(wait), **limits},
            )
        if running >= self._options.key_requests:
            raise ApiError(429, "rate_limit_exceeded", f"this key may have {self._options.key_requests} requests at once", headers=limits)
        recent.append(now)
        self._running[tenant] = running + 1
        try:
            yield [(name.lower().encode(), value.encode()) for name, value in limits.items()]
        finally:
            self._running[tenant] -= 1


def _shown_key(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
