"""What reading one file may cost, and who reads what."""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The budget of one `read`. The parent checks all but `cpu_seconds` and `memory_bytes`, which the kernel keeps for it.

    `seconds` is the reader's own time on the wall: while the caller thinks about the last part, its clock stands. `part_seconds` is for
    one part. `memory_bytes` is address space beyond what the interpreter and its libraries take (RELIABILITY 4.2: 1.5 to 2 GiB).
    `part_pixels` bounds one picture, `parts` their number, `pixel_bytes` all of them together.
    """

    seconds: float = 10.0
    part_seconds: float = float("inf")
    cpu_seconds: int = 10
    memory_bytes: int = 2048 * MiB
    parts: int = 2048
    part_pixels: int = 64_000_000
    pixel_bytes: int = 1024 * MiB


@dataclass(frozen=True, slots=True)
class Reader:
    """A generator function `module:function` that runs inside, what it may cost where the caller says nothing, and the codes of errors
    about files that take too long or too much memory.
    """

    where: str
    limits: Limits
    too_slow: str = "media_timeout"
    too_large: str = "media_too_complex"


def _document(function: str, limits: Limits) -> Reader:
    return Reader(f"kimi_vl.media.documents:{function}", limits, too_slow="pdf_too_complex", too_large="pdf_too_complex")


# A picture of 64 megapixels takes about two seconds; a JPEG of 10,000 scans would take minutes (row G17). Of a video or document, minutes
# may be wanted, by callers who say so: these are the limits of somebody who waits for the answer.
READERS = {
    "picture": Reader("kimi_vl.media.pictures:read_picture", Limits(cpu_seconds=5)),
    "video_info": Reader("kimi_vl.media.video:read_video_info", Limits()),
    "video_frames": Reader(
        "kimi_vl.media.video:read_video_frames",
        Limits(seconds=60, cpu_seconds=240, parts=100_000, part_pixels=17_000_000, pixel_bytes=64 << 30),
    ),
    "video_changes": Reader("kimi_vl.media.video:read_video_changes", Limits(seconds=60, cpu_seconds=240, parts=10_000, part_pixels=0)),
    "video_subtitles": Reader("kimi_vl.media.video:read_video_subtitles", Limits(seconds=60, cpu_seconds=60, parts=10_000, part_pixels=0)),
    "office_info": Reader(
        "kimi_vl.media.office:read_office_info", Limits(seconds=4.5, cpu_seconds=5, memory_bytes=512 * MiB, part_pixels=0)
    ),
    "document_info": _document("read_document_info", Limits(seconds=4.5, cpu_seconds=5, memory_bytes=1440 * MiB)),
    "document_text": _document(
        "read_document_text", Limits(seconds=60, part_seconds=4.5, cpu_seconds=60, memory_bytes=1440 * MiB, parts=10_000)
    ),
    "document_pages": _document(
        "read_document_pages",
        Limits(
            seconds=60,
            part_seconds=4.5,
            cpu_seconds=60,
            memory_bytes=1440 * MiB,
            parts=10_000,
            part_pixels=16_000_000,
            pixel_bytes=64 << 30,
        ),
    ),
}
