"""What a caller holds, as one open file with a name and a known kind: a path, bytes, a data URL, a web address, a stream.

Nothing is decoded here. What lies on a disk is read where it lies; everything else goes into a sealed file in memory, which leaves no
trace.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.identify import HEAD_BYTES, Identity, Kind, identify

MiB = 1 << 20
MAX_BYTES = {Kind.PICTURE: 20 * MiB, Kind.VIDEO: 512 * MiB, Kind.DOCUMENT: 100 * MiB, Kind.OFFICE: 100 * MiB}  # RELIABILITY 2.1
# Of what lies on a disk and is read there, a piece at a time: an hour of 1280×720 may have 1.2 GB. What decoding takes has its own limits.
ON_DISK = {Kind.VIDEO: 16 << 30}
INSTEAD = {Kind.PICTURE: "scale it down or save it as JPEG", Kind.VIDEO: "cut it into parts, or encode it smaller"}
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")


class Fetches(Protocol):
    """Something that fetches web addresses: `kimi_vl.media.fetch.Fetcher`."""

    def fetch(self, url: str, into: BinaryIO, max_bytes: int) -> str:
        """Write the body to `into` and return what to call it. Raises: MediaError."""
        ...


@dataclass(slots=True)
class Source:
    """An open file with a descriptor, what messages call it, and what it is. Closes with its `with` block."""

    file: BinaryIO
    name: str
    identity: Identity

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def open_source(
    source: object,
    *,
    max_bytes: Mapping[Kind, int] = MAX_BYTES,
    fetcher: Fetches | None = None,
    what: str = "the image",
    named: str | None = None,
) -> Source:
    """Open a path, bytes, a base64 `data:` URL (its declared type is ignored), an http(s) URL or a binary stream.

    `max_bytes` holds the limit for each kind; a kind that is not in it may be as large as the largest, and a file on a disk as `ON_DISK`
    says. Bytes are called `what`, anything is
    called `named` where that is given. URLs are fetched by `fetcher`, and refused where there is none.
    Raises: MediaError for what cannot be opened, is too large or of no supported kind; InputError for a source of another type.
    """
    largest, on_disk = max(max_bytes.values()), False
    if isinstance(source, (bytes, bytearray, memoryview)):
        file, name = _in_memory(source), what
    elif isinstance(source, str) and source[:5].lower() == "data:":
        file, name = _in_memory(_data_url_bytes(source, largest, what)), f"{what} in the data URL"
    elif isinstance(source, str) and (scheme := SCHEME.match(source)) and scheme[2]:
        file, name = _fetched(source, scheme[1].lower(), largest, fetcher)
    elif isinstance(source, (str, Path)):
        file, name, on_disk = _open_path(source), short(str(source)), True
    elif isinstance(source, io.BufferedIOBase):
        file, name = _in_memory(source.read(largest + 1)), "standard input"
    else:
        raise InputError(f"an image must be a path, bytes, a data: URL or a PIL image, not {type(source).__name__}")
    name = named or name
    try:
        return Source(file, name, _examine(file, name, {**max_bytes, **ON_DISK} if on_disk else max_bytes, largest))
    except BaseException:
        file.close()
        raise


def short(name: str) -> str:
    """A name that fits a message."""
    return name if len(name) <= 200 else f"{name[:120]}…{name[-40:]}"


def _examine(file: BinaryIO, name: str, max_bytes: Mapping[Kind, int], largest: int) -> Identity:
    """What the file is, if it is not too large for that."""
    try:
        identity = identify(os.pread(file.fileno(), HEAD_BYTES, 0), name)
    except OSError as error:
        raise MediaError(f"{name!r} cannot be read: {error.strerror}") from None
    limit = max_bytes.get(identity.kind, largest)
    if os.fstat(file.fileno()).st_size > limit:
        raise _too_large(name, limit, identity.kind)
    return identity


def _too_large(name: str, limit: int, kind: Kind = Kind.PICTURE) -> MediaError:
    advice = INSTEAD.get(kind, "split it into parts")
    code = "image_too_large" if kind is Kind.PICTURE else "media_too_large"
    return MediaError(f"{name} is larger than the limit of {limit:,} bytes; {advice}", code)


def _open_path(path: str | Path) -> BinaryIO:
    name = short(str(path))
    try:
        # A pipe would block here without O_NONBLOCK; a regular file does not mind it.
        file = open(path, "rb", buffering=0, opener=lambda p, flags: os.open(p, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115
        mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        raise MediaError(f"{name} does not exist") from None
    except IsADirectoryError:
        raise MediaError(f"{name} is a directory; pass the picture files in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MediaError(f"{name!r} cannot be read: {reason}") from None
    if not stat.S_ISREG(mode):
        file.close()
        raise MediaError(f"{name} is not a regular file")
    return file


def memory_file() -> BinaryIO:
    """An empty file in memory, or where the system has none an unnamed one on disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("kimi-vl", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()


def _in_memory(data: bytes | bytearray | memoryview) -> BinaryIO:
    file = memory_file()
    file.write(data)
    file.flush()
    return file


def _data_url_bytes(url: str, limit: int, what: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma or not header.lower().endswith(";base64"):
        raise MediaError(f"the data URL beginning {url[:40]!r} is malformed; it must read data:image/png;base64,...")
    payload = "".join(payload.split())
    if len(payload) > (limit + 3) * 4 // 3:
        raise _too_large(f"{what} in the data URL", limit)
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"the data URL beginning {url[:40]!r} is not valid base64: {error}") from None


def _fetched(url: str, scheme: str, limit: int, fetcher: Fetches | None) -> tuple[BinaryIO, str]:
    if scheme not in ("http", "https"):
        raise MediaError(f"{short(url)} is a URL of another scheme than https or http; pass a path or the bytes", "url_not_allowed")
    if fetcher is None:
        raise MediaError(f"{short(url)} is a URL and nothing here fetches URLs; download it first, or pass the bytes", "url_not_allowed")
    file = memory_file()
    try:
        name = fetcher.fetch(url, file, limit)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file, name
