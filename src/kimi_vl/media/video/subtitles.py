"""Subtitles that lie in a video as text, as a transcript with times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from kimi_vl.errors import MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.video.container import SUBTITLE_CODECS, Effort, Video, open_video
from kimi_vl.media.video.info import codec_name
from kimi_vl.media.video.request import SubtitlesRequest

MAX_CUES = 20_000  # an hour of dense speech has 2,000
MAX_TEXT = 2_000  # characters of one cue
MAX_CHARACTERS = 2_000_000
BATCH = 200  # cues in a Part

_OVERRIDE = re.compile(r"\{[^{}]*\}")  # ASS: {\i1}, {\pos(1,2)}
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")  # what a converter left of HTML
_BREAK = re.compile(r"\\[Nn]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Cue = tuple[float, float, str]


def read_video_subtitles(file: BinaryIO, name: str, request: object) -> Iterator[Part]:
    """Parts of facts: `subtitles`, a list of [start, end, text] in seconds from 0:00, as `read_video_info` counts them; cleaned of markup.

    The request holds the keys of `SubtitlesRequest`. The closing facts: `end` (true), `track`, `language`, `cut_short` (true where a limit
    was met: 20,000 cues, 2,000,000 characters), `unreadable` (cues that are damaged, or not UTF-8). A cue that says no
    duration ends where the next begins, or after 5 seconds.
    Raises: MediaError where the file has no such track; InputError for a bad request.
    """
    wanted = SubtitlesRequest.from_dict(request)
    with open_video(file, name) as video:
        track, stream = _track(video.container, name, wanted.track)
        for other in video.container.streams:
            other.discard = Discard.default if other is stream else Discard.all
        cues, cut_short, unreadable = _cues(video, stream)
        chosen = [list(cue) for cue in cues if cue[1] > wanted.start and (wanted.end is None or cue[0] < wanted.end)]
        for first in range(0, len(chosen), BATCH):
            yield Part({"subtitles": chosen[first : first + BATCH]})
        yield Part({"end": True, "track": track, "language": stream.language, "cut_short": cut_short, "unreadable": unreadable})


def clean(text: str) -> str:
    """The words of a cue: markup and control characters removed, lines stripped, at most 2,000 characters."""
    text = _TAG.sub("", _OVERRIDE.sub("", text)).replace("\\h", " ")
    lines = [_CONTROL.sub("", line).strip() for line in _BREAK.sub("\n", text).splitlines()]
    return "\n".join(line for line in lines if line)[:MAX_TEXT]


def _track(container: InputContainer, name: str, asked: int | None) -> tuple[int, SubtitleStream]:
    tracks = {k: s for k, s in enumerate(container.streams.subtitles) if codec_name(s) in SUBTITLE_CODECS}
    if not tracks:
        raise MediaError(f"{name} has no subtitles that are text", "invalid_value")
    if asked is None:
        asked = next((k for k, s in tracks.items() if s.disposition & Disposition.default), min(tracks))
    if asked not in tracks:
        raise MediaError(f"{name} has no track {asked} of subtitles that are text; it has {', '.join(map(str, tracks))}", "invalid_value")
    return asked, tracks[asked]


def _cues(video: Video, stream: SubtitleStream) -> tuple[list[Cue], bool, int]:
    """All cues in order of time, whether a limit was met, and how many could not be read."""
    effort, cues, characters, unreadable = Effort(video.name), [], 0, 0
    try:
        for packet in video.container.demux(stream):
            effort.packet()
            text = _text(packet)
            unreadable += text is None
            if text and packet.pts is not None and stream.time_base:
                start = float(packet.pts * stream.time_base - video.zero)
                cues.append((start, start + float((packet.duration or 0) * stream.time_base), text))
                characters += len(text)
            if len(cues) >= MAX_CUES or characters > MAX_CHARACTERS:
                return _ended(cues), True, unreadable
    except FFmpegError:
        return _ended(cues), True, unreadable
    return _ended(cues), False, unreadable


def _text(packet: Packet) -> str | None:
    if not packet.size:
        return ""
    try:
        found = packet.decode()
    except FFmpegError:  # one damaged cue says nothing about the others
        return None
    lines = [clean(s.dialogue.decode("utf-8", "replace")) for s in found if isinstance(s, AssSubtitle)]
    return "\n".join(line for line in lines if line)[:MAX_TEXT]


def _ended(cues: list[Cue]) -> list[Cue]:
    """In order of time, none before 0:00, each with an end."""
    cues = sorted((max(0.0, start), end, text) for start, end, text in cues if end >= 0)
    following = [*(start for start, _, _ in cues[1:]), float("inf")][: len(cues)]
    return [
        (round(start, 3), round(end if end > start else min(start + 5, max(then, start)), 3), text)
        for (start, end, text), then in zip(cues, following, strict=True)
    ]
