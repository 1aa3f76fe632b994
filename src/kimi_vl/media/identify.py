"""What a file is, by its first bytes. Its name and its declared type say nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kimi_vl.errors import MediaError

HEAD_BYTES = 4096  # enough for each test below


class Kind(StrEnum):
    """What is read by the same reader."""

    PICTURE = "picture"
    VIDEO = "video"
    DOCUMENT = "document"
    OFFICE = "office document"


@dataclass(frozen=True, slots=True)
class Identity:
    """`format` is Pillow's name for a picture; `phrase` names the file in a sentence, with its article."""

    kind: Kind
    format: str
    phrase: str


SUPPORTED_PICTURES = "Supported pictures: PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF, HEIC"
SUPPORTED_DOCUMENTS = "documents: PDF, and with LibreOffice DOCX, PPTX, XLSX, ODT, ODP, ODS"
SUPPORTED = f"{SUPPORTED_PICTURES}; videos: MP4, MOV, MKV, WebM, AVI, MPEG-TS, FLV; {SUPPORTED_DOCUMENTS}"
OFFICE_MARKS = (b"word/", b"xl/", b"ppt/", b"[Content_Types].xml", b"_rels/.rels", b"docProps/")
_CONVERT = "convert it to PNG or JPEG first"

PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
)

VIDEOS = (
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"\0\0\x01\xba", "MPEG"),
    (b"FLV\x01", "Flash"),
    (b"OggS", "Ogg"),
)

REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old or encrypted office document; save it as DOCX, PPTX or XLSX without a password, or export it as PDF"),
    (b"%!PS", f"a PostScript file; {_CONVERT}"),
    (b"\xc5\xd0\xd3\xc6", f"a PostScript file; {_CONVERT}"),
    (b"\x30\x26\xb2\x75", "a Windows Media file; convert it to MP4 first, e.g. `ffmpeg -i clip.wmv clip.mp4`"),
    (b"\0\0\x01\xb3", "a bare MPEG stream; put it into MP4 first, e.g. `ffmpeg -i clip.mpg clip.mp4`"),
    (b"ID3", "a sound file, not a picture"),
    (b"fLaC", "a sound file, not a picture"),
    (b"8BPS", f"a Photoshop file; {_CONVERT}"),
    (b"\0\0\0\x0cjP  ", f"a JPEG 2000 picture; {_CONVERT}"),
    (b"\xff\x4f\xff\x51", f"a JPEG 2000 picture; {_CONVERT}"),
    (b"\0\0\0\x0cJXL ", f"a JPEG XL picture; {_CONVERT}"),
    (b"\xff\x0a", f"a JPEG XL picture; {_CONVERT}"),
    (b"II+\0", f"a BigTIFF picture; {_CONVERT}"),
    (b"MM\0+", f"a BigTIFF picture; {_CONVERT}"),
    (b"SIMPLE  =", f"a FITS picture; {_CONVERT}"),
    (b"\xd7\xcd\xc6\x9a", f"a Windows metafile; {_CONVERT}"),
    (b"\0\0\x01\0", f"an icon file; {_CONVERT}"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"#EXTM3U", "a playlist; pass the video itself"),
    (b"ffconcat", "a playlist; pass the video itself"),
)

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # how a film of before 2001 begins
TRANSPORT_PACKETS = (188, 192)  # bytes from one sync byte, 0x47, of an MPEG transport stream to the next


def identify(head: bytes, name: str) -> Identity:
    """The kind of a file that begins with `head`, its first 4,096 bytes or all it has. Raises: MediaError saying what it is and what to
    do.
    """
    if not head:
        raise MediaError(f"{name} is empty (0 bytes)", "unsupported_media")
    found = _picture(head) or _video(head) or _document(head)
    if found is None:
        raise MediaError(f"{name} is {_what_else(head)}. {SUPPORTED}", "unsupported_media")
    return found


def _picture(head: bytes) -> Identity | None:
    for magic, picture_format in PICTURES:
        if head.startswith(magic):
            return Identity(Kind.PICTURE, picture_format, f"a {picture_format} picture")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Identity(Kind.PICTURE, "WEBP", "a WEBP picture")
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4])
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(size, len(head)) - 3, 4))}
        if head[8:12] in AVIF_BRANDS or (head[8:12] in HEIC_BRANDS and brands & AVIF_BRANDS):
            return Identity(Kind.PICTURE, "AVIF", "an AVIF picture")
        if head[8:12] in HEIC_BRANDS:
            return Identity(Kind.PICTURE, "HEIF", "an HEIC picture")
    return None


def _video(head: bytes) -> Identity | None:
    for magic, container in VIDEOS:
        if head.startswith(magic):
            return Identity(Kind.VIDEO, container, "a video")
    if head[4:8] == b"ftyp" or head[4:8] in QUICKTIME_BOXES:
        return Identity(Kind.VIDEO, "MP4 or QuickTime", "a video")
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Identity(Kind.VIDEO, "AVI", "a video")
    for packet in TRANSPORT_PACKETS:
        syncs = head[packet - 188 :: packet]
        if len(syncs) >= 4 and set(syncs) == {0x47}:
            return Identity(Kind.VIDEO, "MPEG transport stream", "a video")
    return None


def _document(head: bytes) -> Identity | None:
    if b"%PDF-" in head[:1024]:
        return Identity(Kind.DOCUMENT, "PDF", "a PDF")
    if head.startswith(b"PK\x03\x04") and (head[30:38] == b"mimetype" or any(mark in head for mark in OFFICE_MARKS)):
        return Identity(Kind.OFFICE, "ZIP", "an office document")  # which, its table of contents says (`office.py`)
    return None


def _what_else(head: bytes) -> str:
    for magic, what in REFUSED:
        if head.startswith(magic):
            return what
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive; unpack it first"
    if head[:4] == b"RIFF":
        return "a RIFF file that holds no picture"
    text = head[:1024].lower()
    if b"<svg" in text:
        return "an SVG drawing; render it to PNG first, e.g. `rsvg-convert -o out.png in.svg`"
    if b"<html" in text or b"<!doctype html" in text:
        return "an HTML page; take a screenshot as PNG first"
    if text.startswith(b"webvtt") or re.match(rb"(\xef\xbb\xbf)?\s*\d+\s+[\d:,.]+\s+-->", text):
        return "a file of subtitles; put it into its video, e.g. `ffmpeg -i clip.mp4 -i clip.srt -c copy -c:s mov_text both.mp4`"
    if not re.search(rb"[^\t\n\r\x20-\x7e\x80-\xff]", text):
        return "a text file, not a picture; pass its text in the question"
    return "not a picture of a known format"
