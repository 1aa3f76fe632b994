"""What an office file is, told by its table of contents. Runs inside (`media/sandbox`); nothing of the document itself is unpacked.

A DOCX, PPTX, XLSX, ODT, ODP or ODS is a ZIP archive. What it holds is listed at its end with sizes, so a bomb is refused before anybody
unpacks it.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.parts import Part

MAX_ENTRIES = 10_000
MAX_UNPACKED = 512 << 20  # bytes of all entries together
MAX_NAMING = 1 << 20  # bytes of the entry that says what the others are
EXPORT = "export it as PDF"

OPEN_XML = {
    b"officedocument.wordprocessingml.document.main+xml": "DOCX",
    b"officedocument.presentationml.presentation.main+xml": "PPTX",
    b"officedocument.spreadsheetml.sheet.main+xml": "XLSX",
}
OPEN_DOCUMENT = {
    b"application/vnd.oasis.opendocument.text": "ODT",
    b"application/vnd.oasis.opendocument.presentation": "ODP",
    b"application/vnd.oasis.opendocument.spreadsheet": "ODS",
}
MACROS = re.compile(rb"macroEnabled\.[a-z.]*main\+xml")


def read_office_info(file: BinaryIO, name: str, request: dict[str, Any]) -> Iterator[Part]:
    """One part of facts: `form` ("DOCX", "PPTX", "XLSX", "ODT", "ODP", "ODS"), `entries`, and `unpacked`, bytes. The request is {}.

    Raises: MediaError for another archive, one that is damaged, encrypted or too large, and for files made to carry macros; InputError
    for a bad request.
    """
    for key in request:
        raise InputError(f"unknown key {key!r} in a request; an office file is asked for nothing")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_size(entries, file.seek(0, 2), name)
            form = _form(archive, name)
    except MediaError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error) as error:
        raise MediaError(f"{name} is a damaged ZIP archive ({error}); save or download it again", "invalid_media") from None
    yield Part({"form": form, "entries": len(entries), "unpacked": sum(entry.file_size for entry in entries)})


def _check_size(entries: list[zipfile.ZipInfo], file_bytes: int, name: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise MediaError(
            f"{name} holds {len(entries):,} files; at most {MAX_ENTRIES:,} are read. {EXPORT.capitalize()}", "media_too_complex"
        )
    unpacked, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if unpacked > MAX_UNPACKED:
        raise MediaError(
            f"{name} would be {unpacked:,} bytes unpacked; at most {MAX_UNPACKED:,} are read. {EXPORT.capitalize()}", "media_too_large"
        )
    if packed > file_bytes:  # the same bytes listed again and again
        raise MediaError(f"{name} lists {packed:,} bytes and has {file_bytes:,}; it is damaged, or made to do harm", "invalid_media")
    if any(entry.flag_bits & 1 for entry in entries):
        raise MediaError(f"{name} is encrypted; save it without a password, or {EXPORT}", "unsupported_media")


def _form(archive: zipfile.ZipFile, name: str) -> str:
    names = set(archive.namelist())
    if "mimetype" in names:
        kind = _read(archive, "mimetype", name).strip()
        if kind in OPEN_DOCUMENT:
            return OPEN_DOCUMENT[kind]
        raise MediaError(f"{name} is a document of the kind {ascii(kind[:80])[1:]}; {EXPORT}", "unsupported_media")
    if "[Content_Types].xml" not in names:
        raise MediaError(f"{name} is a ZIP archive; unpack it first", "unsupported_media")
    types = _read(archive, "[Content_Types].xml", name)
    if MACROS.search(types):
        raise MediaError(f"{name} is made to carry macros, which are never run here; save it without, or {EXPORT}", "unsupported_media")
    found = [form for mark, form in OPEN_XML.items() if mark in types]
    if len(found) != 1:
        raise MediaError(f"{name} is an office document, but no DOCX, PPTX or XLSX; {EXPORT}", "unsupported_media")
    return found[0]


def _read(archive: zipfile.ZipFile, entry: str, name: str) -> bytes:
    with archive.open(entry) as file:
        found = file.read(MAX_NAMING + 1)
    if len(found) > MAX_NAMING:
        raise MediaError(f"{name}: its {entry} is larger than {MAX_NAMING:,} bytes", "media_too_complex")
    return found
