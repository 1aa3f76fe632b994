"""Every limit and switch of the server with its default, in one frozen place (RELIABILITY 2.1)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from kimi_vl.errors import ConfigError

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """What the server listens on, whom it lets in, and what one request may cost. Times are seconds.

    `keys` are (name, secret) pairs; whoever shows a secret is the tenant of that name. Without keys everybody is one tenant, and only a
    loopback address may be listened on. `hosts` are the values of the Host header that are answered; None: those of this machine where a
    loopback address is listened on, else any. `media_hosts` are the hosts that pictures may be fetched from; None: any public one where a
    loopback address is listened on, else none. `media_folders` are the folders whose files a request may name. `data` is where uploads,
    responses and batches live; None: in a folder that goes with the process.

    Raises: ConfigError for a value that cannot be, and for a public address without a key.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] | None = None
    media_hosts: tuple[str, ...] | None = None
    media_folders: tuple[str, ...] = ()
    data: str | None = None
    model_name: str | None = None  # what requests call the model; None: the name it was loaded by
    lenient: bool = False  # pass over unknown parameters, and say so in a header

    # Receiving a request.
    body_bytes: int = 64 * MiB
    file_bytes: int = 2 * GiB
    header_bytes: int = 64 * KiB
    headers: int = 100
    header_s: float = 10.0
    body_s: float = 300.0
    receiving_bytes: int = GiB  # of all bodies that are being received
    body_rate: int = 16 * KiB  # bytes a second, on the average, once `header_s` has passed
    keep_alive_s: float = 30.0
    connections: int = 4096
    json_depth: int = 64

    # What a request may hold; how many messages, parts, answers and tools, its schema says (`openai/requests.py`).
    images: int = 64
    videos: int = 4
    documents: int = 4
    prompts: int = 64  # answers of one request to /v1/completions
    tool_schema_bytes: int = 64 * KiB
    decoded_bytes: int = 512 * MiB
    media_workers: int = 4  # requests whose media are opened at once; opening itself happens in confined processes

    # Waiting and working.
    waiting: int | None = None  # requests that may wait; None: four times those that compute
    queue_s: float = 30.0
    request_s: float = 600.0
    quiet_s: float = 15.0  # a stream that has nothing to say says so as often
    slow_reader_s: float = 30.0
    drain_s: float = 30.0
    step_s: float = 300.0  # a step of the engine that takes longer hangs

    # One key.
    key_requests: int = 64  # at once
    key_per_minute: int = 6000

    # Uploads of one tenant.
    files: int = 1000
    files_bytes: int = 10 * GiB

    # Responses of one tenant that can be asked for again.
    responses: int = 1000
    responses_bytes: int = GiB
    responses_s: float = 30 * 24 * 3600.0

    # Batches.
    batches: int = 1000  # of one tenant, those that are over included
    batch_lines: int = 50_000
    batch_bytes: int = 200 * MiB
    batch_running: int | None = None  # lines of all batches that are answered at once; None: half of the requests that compute
    batch_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "float") and (type(value) not in (int, float) or not value > 0) and field.name != "port":
                raise ConfigError(f"{field.name} is {value!r}; it must be a number above 0")
        if type(self.port) is not int or not 0 <= self.port < 65536:
            raise ConfigError(f"port is {self.port!r}; it must be a whole number from 0 to 65535")
        names = [name for name, _ in self.keys]
        if len(set(names)) < len(names):
            raise ConfigError("two API keys have the same name; a name is a tenant, and has one key")
        for name, secret in self.keys:
            if len(secret) < 8 or not secret.isascii() or not secret.isprintable() or " " in secret:
                raise ConfigError(f"the API key of {name!r} must have at least 8 printable ASCII characters and no spaces")
        if not self.is_private and not self.keys:
            raise ConfigError(
                f"{self.host} can be reached from other machines, and there is no API key; set one (--api-key-file, or KIMI_VL_API_KEY), "
                "or listen on 127.0.0.1"
            )
        for folder in self.media_folders:
            if not Path(folder).is_dir():
                raise ConfigError(f"{folder} is no folder that files could be taken from")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises: ConfigError for an unknown key, naming the nearest known one."""
        names = [field.name for field in fields(cls)]
        for key in values:
            if key not in names:
                near = difflib.get_close_matches(key, names, n=1)
                raise ConfigError(f"there is no server option {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return cls(**values)

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Host names that are answered, lower case and without ports; None: all."""
        if self.hosts is not None:
            return frozenset(host.lower() for host in self.hosts)
        return frozenset((*LOOPBACK_NAMES, self.host)) if self.is_private else None
