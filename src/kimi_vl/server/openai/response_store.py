"""The responses that each tenant may ask for again: a file each, and one of its events where it was written in the background.

The oldest go when there are too many or they take too much room, and all after a while. All methods are blocking, and from any thread.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec

from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.files import home
from kimi_vl.server.options import ServerOptions

RUNNING = ("queued", "in_progress")
MOST_LINKS = 1024  # responses of one conversation; as many as a request has messages
_ID = re.compile(r"resp_[0-9a-f]{32}")


class Record(msgspec.Struct):
    """A response as it is told, and the items that were put in."""

    response: dict[str, Any]
    input: list[dict[str, Any]]


class ResponseStore:
    def __init__(self, folder: Path, options: ServerOptions) -> None:
        self._folder, self._options = folder / "responses", options
        self._lock = threading.Lock()
        self._known: dict[Path, dict[str, tuple[float, int]]] = {}  # of each folder: when it was saved and its bytes, the oldest first

    def save(self, tenant: str, record: Record, events: Iterable[bytes] | None = None, keep: Collection[str] = ()) -> None:
        """Whole or not at all. Then those that are too old or too many go, but none of `keep`."""
        path = self._path(tenant, record.response["id"])
        with self._lock:
            known = self._of(path.parent)
            size = 0
            if events is not None:
                size = path.with_suffix(".events").write_bytes(b"".join(events))
            data = msgspec.json.encode(record)
            _replace(path, data)
            known.pop(path.stem, None)
            known[path.stem] = (time.time(), size + len(data))
            self._forget_old(path.parent, {path.stem, *keep})

    def find(self, tenant: str, response_id: str, param: str | None = None) -> Record:
        """Raises: ApiError 404, the same for what never was, was deleted, or is another tenant's."""
        path = self._path(tenant, response_id, param)
        try:
            with self._lock:
                self._forget_old(path.parent, ())
                return msgspec.json.decode(path.read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError):
            raise _missing(param) from None

    def events(self, tenant: str, response_id: str) -> list[bytes] | None:
        """The events of a response, where they were kept."""
        try:
            data = self._path(tenant, response_id).with_suffix(".events").read_bytes()
        except OSError:
            return None
        return [part + b"\n\n" for part in data.split(b"\n\n")[:-1]]

    def delete(self, tenant: str, response_id: str) -> None:
        """Raises: ApiError 404."""
        path = self._path(tenant, response_id)
        with self._lock:
            if path.stem not in self._of(path.parent):
                raise _missing(None)
            self._forget(path)

    def conversation(self, tenant: str, response_id: str, param: str) -> list[dict[str, Any]]:
        """What was put in and out up to the end of a response, the oldest first. Raises: ApiError 404, 400 for one that is not over."""
        links: list[list[dict[str, Any]]] = []
        size = 0
        following: str | None = response_id
        while following is not None:
            if len(links) >= MOST_LINKS:
                raise invalid("invalid_value", f"the conversation has more than {MOST_LINKS:,} responses", param)
            record = self.find(tenant, following, param)
            size += self._size(tenant, following)
            if size > self._options.body_bytes:  # it is read at once, as a body is
                raise invalid("invalid_value", f"the conversation has more than {self._options.body_bytes:,} bytes", param)
            if record.response["status"] not in ("completed", "incomplete"):
                raise invalid(
                    "invalid_value", f"the response is {record.response['status']}; only from a complete one can be gone on", param
                )
            links.append([*record.input, *record.response["output"]])
            following = record.response["previous_response_id"]
        return [item for link in reversed(links) for item in link]

    def _size(self, tenant: str, response_id: str) -> int:
        with self._lock:
            return self._of(home(self._folder, tenant)).get(response_id, (0.0, 0))[1]

    def _path(self, tenant: str, response_id: str, param: str | None = None) -> Path:
        if not _ID.fullmatch(response_id):
            raise _missing(param)
        return home(self._folder, tenant) / f"{response_id}.json"

    def _of(self, folder: Path) -> dict[str, tuple[float, int]]:
        """Read once."""
        if folder not in self._known:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = []
            for path in folder.glob("resp_*.json"):
                events, facts = path.with_suffix(".events"), path.stat()
                found.append((facts.st_mtime, facts.st_size + (events.stat().st_size if events.exists() else 0), path.stem))
            self._known[folder] = {name: (saved, size) for saved, size, name in sorted(found)}
        return self._known[folder]

    def _forget_old(self, folder: Path, keep: Collection[str]) -> None:
        known, options = self._of(folder), self._options
        count, size, oldest = len(known), sum(size for _, size in known.values()), time.time() - options.responses_s
        for name, (saved, bytes_) in list(known.items()):
            if saved >= oldest and count <= options.responses and size <= options.responses_bytes:
                return
            if name not in keep:
                self._forget(folder / f"{name}.json")
                count, size = count - 1, size - bytes_

    def _forget(self, path: Path) -> None:
        self._known[path.parent].pop(path.stem, None)
        path.unlink(missing_ok=True)
        path.with_suffix(".events").unlink(missing_ok=True)


def _missing(param: str | None) -> ApiError:
    return ApiError(404, "response_not_found", "there is no such response", param=param)


def _replace(path: Path, data: bytes) -> None:
    incoming = path.with_suffix(".incoming")
    incoming.write_bytes(data)
    os.replace(incoming, path)
