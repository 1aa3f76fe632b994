"""A video file opened with everything refused that a video does not need: networks, other files, rare formats and codecs, vast pictures.

FFmpeg opens sockets for a session description and local files for a playlist if it may, whatever the file is called (RELIABILITY H5).
Here it sees no name, four families of containers, the decoders listed below and one file object.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, NoReturn, Self

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from kimi_vl.errors import MediaError

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv"
VIDEO_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg")
SUBTITLE_CODECS = ("mov_text", "subrip", "ass", "ssa", "webvtt", "text")
DECODERS = ",".join([*VIDEO_CODECS, "libdav1d", *SUBTITLE_CODECS])

MAX_PIXELS = 17_000_000  # of one picture: 4096 × 4096
MAX_PACKETS = 2_000_000  # about nine hours at 60 pictures a second
MAX_DECODED_PIXELS = 1_500_000_000_000  # an hour and a half of 3840 × 2160 at 30 pictures a second
MAX_READS = 8  # times that the file's bytes may be read
MAX_STREAMS = 64
MAX_THREADS = 4
THREADED_PIXELS = 9_000_000  # pictures above are decoded by one thread: each holds up to 16 of them at 3 bytes a pixel
READ_BYTES = 1 << 18
TOLERANCE = Fraction(1, 1_000_000)  # seconds; 0.3 is less than 3/10 as a float
LATE = Fraction(1, 2)  # seconds

_OPTIONS = {
    "format_whitelist": FORMATS,
    "codec_whitelist": DECODERS,
    "protocol_whitelist": "none",
    "max_pixels": str(MAX_PIXELS),
    "max_streams": str(MAX_STREAMS),
}
_CONVERT = "convert it, e.g. `ffmpeg -i FILE -c:v libx264 clip.mp4`"


class Effort:
    """Work done on one file, counted rather than timed, so that a limit is the same on every machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.packets = self.pixels = 0

    def packet(self) -> None:
        """Count one packet. Raises: MediaError above MAX_PACKETS."""
        self.packets += 1
        if self.packets > MAX_PACKETS:
            raise MediaError(
                f"{self.name} holds more than {MAX_PACKETS:,} packets of pictures before the last one asked for; cut it into parts",
                "media_too_complex",
            )

    def picture(self, pixels: int) -> None:
        """Count one decoded picture. Raises: MediaError above MAX_DECODED_PIXELS."""
        self.pixels += pixels
        if self.pixels > MAX_DECODED_PIXELS:
            raise MediaError(
                f"{self.name} takes more than {MAX_DECODED_PIXELS:,} decoded pixels to reach the last picture asked for; cut it into parts",
                "media_too_complex",
            )


class _Nameless:
    """The file as FFmpeg may see it: without a name to guess from, and not to be read over and over."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._left = MAX_READS * file.seek(0, os.SEEK_END) + (1 << 26)
        file.seek(0)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise MediaError(
                f"{self._name} is read more than {MAX_READS} times over without an end: its index is damaged; save it again",
                "invalid_video",
            )
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _refuse(*_: object) -> NoReturn:
    raise OSError("a video may not open other files")


@dataclass(eq=False, slots=True)
class Video:
    """An open file and its stream of pictures.

    `zero` is what 0:00 means, in seconds of the stream's clock: the first picture; where something else, such as sound, begins more than
    half a second before it, the beginning of that, as in players. (Sound alone often begins some milliseconds early, which means nothing.)
    """

    name: str
    container: InputContainer
    stream: VideoStream
    zero: Fraction
    tick: Fraction

    def seconds(self, pts: int) -> float:
        """Seconds since 0:00 of a presentation time in the stream's ticks."""
        return float(pts * self.tick - self.zero)

    def ticks(self, seconds: float) -> int:
        """The last tick at or before `seconds` since 0:00, give or take a microsecond."""
        return int((Fraction(seconds) + self.zero + TOLERANCE) // self.tick)

    @property
    def codec(self) -> str:
        return self.stream.codec_context.codec.canonical_name

    @property
    def duration(self) -> float | None:
        """Seconds from 0:00 to the end as the file claims it; None where it claims none."""
        if self.stream.duration and self.stream.duration > 0:
            return self.seconds((self.stream.start_time or 0) + self.stream.duration)
        if self.container.streams.subtitles:  # the last line may outlast the pictures, and the file's length is that of its longest stream
            return None
        if self.container.duration and self.container.duration > 0:
            absolute = "matroska" in self.container.format.name  # its length counts from its clock's 0, not from where it starts
            start = Fraction(0 if absolute else self.container.start_time or 0, av.time_base)
            return float(start + Fraction(self.container.duration, av.time_base) - self.zero)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()


def open_container(file: BinaryIO, name: str) -> InputContainer:
    """`file` as one of the containers that are read. Raises: MediaError for anything else, and for an empty or unreadable file."""
    shown: Any = _Nameless(file, name)
    if not file.read(1):
        raise MediaError(f"{name} is empty (0 bytes)", "invalid_video")
    file.seek(0)
    refuse: Callable[..., Any] = _refuse
    try:
        return av.open(shown, "r", options=_OPTIONS, metadata_errors="replace", buffer_size=READ_BYTES, io_open=refuse)
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{name} is not a video that can be read ({reason(error)}). Supported: MP4, MOV, MKV, WebM, AVI, MPEG-TS and FLV "
            f"with {', '.join(VIDEO_CODECS)}; {_CONVERT}",
            "unsupported_media" if isinstance(error, ArgumentError) else "invalid_video",
        ) from None


def open_video(file: BinaryIO, name: str) -> Video:
    """The pictures of `file`, nothing decoded. Raises: MediaError, also where there are none, or of a codec or size that is not read."""
    container = open_container(file, name)
    try:
        stream = _pictures(container, name)
        tick = stream.time_base
        if not tick or tick <= 0:
            raise MediaError(
                f"{name} has a damaged header (its clock ticks every {tick} seconds); save or download it again", "invalid_video"
            )
        return Video(name, container, stream, _zero(container, stream, tick), tick)
    except MediaError:
        container.close()
        raise


def reason(error: BaseException) -> str:
    """FFmpeg's words for what went wrong, without its numbers and without addresses.

    Raises: MemoryError where memory is what was missing, which is no fault of the file's format.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.EAGAIN:  # the latter where a thread cannot be started
        raise MemoryError from error
    if isinstance(error, ArgumentError):  # how a demuxer or decoder that is not on the list is refused
        return "of a format or codec that is not supported"
    return (getattr(error, "strerror", None) or type(error).__name__)[:120].lower()


def _pictures(container: InputContainer, name: str) -> VideoStream:
    """The one stream that is watched, ready to decode: the best that is not a cover."""
    candidates = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not candidates:
        what = "a cover picture and sound" if container.streams.video else "sound" if container.streams.audio else "no pictures"
        raise MediaError(f"{name} holds {what}; a video has pictures that follow one another", "unsupported_media")
    best = container.streams.best("video")
    stream = next((s for s in candidates if s is best), candidates[0])
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else "an unknown codec"
    if codec not in VIDEO_CODECS:
        raise MediaError(f"{name} is encoded as {codec}; read are {', '.join(VIDEO_CODECS)}: {_CONVERT}", "unsupported_media")
    if context.width * context.height > MAX_PIXELS:
        raise MediaError(
            f"{name} has pictures of {context.width:,}×{context.height:,} pixels; at most {MAX_PIXELS:,} pixels are read. Scale it down",
            "image_too_large",
        )
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_type = "AUTO"
    context.thread_count = 1 if context.width * context.height > THREADED_PIXELS else min(MAX_THREADS, os.cpu_count() or 1)
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def _zero(container: InputContainer, stream: VideoStream, tick: Fraction) -> Fraction:
    first = (stream.start_time or 0) * tick
    if container.start_time is None:
        return first
    earliest = Fraction(container.start_time, av.time_base)
    return earliest if first - earliest > LATE else first
