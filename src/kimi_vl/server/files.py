"""Uploaded files of each tenant: a folder of random names, a record beside each file, nothing that a client named anywhere in a path."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.options import ServerOptions

PURPOSES = ("user_data", "vision", "assistants", "batch", "batch_output", "evals")
_ID = re.compile(r"file-[0-9a-f]{32}")
FULL = (errno.ENOSPC, errno.EDQUOT)


class File(msgspec.Struct, frozen=True):
    """OpenAI's file object."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    object: str = "file"
    status: str = "processed"


class Files:
    """In a folder of `folder`. All methods are blocking, and from any thread."""

    def __init__(self, folder: Path, options: ServerOptions) -> None:
        self._options = options
        self._folder = folder / "files"
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, File]] = {}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def begin(self, tenant: str) -> tuple[BinaryIO, Path]:
        """A file to write an upload to. Raises: ApiError 503 storage_full, 429 quota_exceeded."""
        with self._lock:
            held = self._of(tenant)
            if len(held) >= self._options.files or sum(file.bytes for file in held.values()) >= self._options.files_bytes:
                raise ApiError(429, "quota_exceeded", "there are too many uploaded files; delete some")
        path = self._home(tenant) / f"incoming-{secrets.token_hex(16)}"
        return path.open("xb"), path

    def keep(self, tenant: str, path: Path, filename: str, purpose: str) -> File:
        """Take in what was written to `path`. It is durable before it is known."""
        size = path.stat().st_size
        file = File(self.new_id(), size, int(time.time()), shown_name(filename), purpose)
        with path.open("rb") as data:
            os.fsync(data.fileno())
        with self._lock:
            held = self._of(tenant)
            if sum(other.bytes for other in held.values()) + size > self._options.files_bytes:
                raise ApiError(429, "quota_exceeded", f"uploaded files may have {self._options.files_bytes:,} bytes together; delete some")
            self._take_in(tenant, path, file)
        return file

    def adopt(self, tenant: str, path: Path, file_id: str, filename: str, purpose: str) -> None:
        """Take in what the server itself made, under an id from `new_id`; once more changes nothing. It counts as the tenant's, but room
        there must be: nothing that was worked for is lost. Raises: OSError."""
        incoming = self._home(tenant) / f"incoming-{secrets.token_hex(16)}"
        with self._lock:
            if file_id in self._of(tenant):
                return
            link_or_copy(path, incoming)
            self._take_in(tenant, incoming, File(file_id, path.stat().st_size, int(time.time()), filename, purpose))

    def new_id(self) -> str:
        return f"file-{secrets.token_hex(16)}"

    def _take_in(self, tenant: str, path: Path, file: File) -> None:
        os.rename(path, self.path(tenant, file.id))
        record = self.path(tenant, file.id).with_suffix(".json")
        incoming = record.with_suffix(".incoming")
        with incoming.open("wb") as written:
            written.write(msgspec.json.encode(file))
            written.flush()
            os.fsync(written.fileno())
        os.rename(incoming, record)
        sync_folder(record.parent)
        self._of(tenant)[file.id] = file

    def find(self, tenant: str, file_id: str, param: str | None = None) -> File:
        """Raises: ApiError 404, the same for what never was, was deleted, or is another tenant's."""
        with self._lock:
            file = self._of(tenant).get(file_id)
        if file is None:
            raise ApiError(404, "file_not_found", "there is no such file", param=param)
        return file

    def list(self, tenant: str) -> list[File]:
        """The newest first."""
        with self._lock:
            return sorted(self._of(tenant).values(), key=lambda file: (-file.created_at, file.id))

    def delete(self, tenant: str, file_id: str) -> None:
        """Raises: ApiError 404."""
        file = self.find(tenant, file_id)
        with self._lock:
            self._of(tenant).pop(file.id, None)
            path = self.path(tenant, file.id)
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def path(self, tenant: str, file_id: str) -> Path:
        """Where a file lies. `file_id` is one of ours."""
        assert _ID.fullmatch(file_id)
        return self._home(tenant) / file_id

    def _home(self, tenant: str) -> Path:
        return home(self._folder, tenant)

    def _of(self, tenant: str) -> dict[str, File]:
        """Read once; what was being written when the process ended is removed."""
        if tenant not in self._known:
            home = self._home(tenant)
            home.mkdir(exist_ok=True, mode=0o700)
            known: dict[str, File] = {}
            for record in home.glob("file-*.json"):
                try:
                    file = msgspec.json.decode(record.read_bytes(), type=File)
                except (OSError, msgspec.MsgspecError):
                    continue
                if _ID.fullmatch(file.id) and (home / file.id).is_file():
                    known[file.id] = file
            for path in home.iterdir():
                if path.stem not in known:
                    path.unlink(missing_ok=True)
            self._known[tenant] = known
        return self._known[tenant]


def link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name. Raises: OSError."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def sync_folder(path: Path) -> None:
    """So that the names in it are on the disk as well."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def home(folder: Path, tenant: str) -> Path:
    """A tenant's own folder in one for all: a digest, because a name may be anything."""
    return folder / hashlib.sha256(tenant.encode()).hexdigest()[:32]


def shown_name(name: str) -> str:
    """What is shown of a client's file name: no folders, no control or direction characters, at most 200 characters."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(c for c in name if c.isprintable())[:200].strip()
    return name if name.strip(".") else "file"


def storage_error(error: OSError) -> ApiError:
    """What a client gets to see of a disk that does not take a file."""
    if error.errno in FULL:
        return ApiError(503, "storage_full", "there is no room for uploads")
    return ApiError(500, "internal_error", "the upload could not be stored")


def check_purpose(purpose: str | None) -> str:
    """Raises: ApiError 400."""
    if purpose not in PURPOSES:
        raise invalid("invalid_value", f"purpose must be one of {', '.join(PURPOSES)}", "purpose")
    return purpose


def room(path: str | Path) -> int:
    """Bytes that are free where a path lies."""
    return shutil.disk_usage(path).free
