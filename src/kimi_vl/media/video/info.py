"""What a video is: length, size, rate, what else is in the file. One frame is decoded, to know how it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from av.container import InputContainer
from av.stream import Disposition, Stream

from kimi_vl.errors import MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.video.container import SUBTITLE_CODECS, open_video
from kimi_vl.media.video.length import length
from kimi_vl.media.video.picture import quarter_turns, shown_size
from kimi_vl.media.video.request import InfoRequest
from kimi_vl.media.video.walk import Pictures

MAX_WORDS = 200  # characters of a title or language tag


def read_video_info(file: BinaryIO, name: str, request: object) -> Iterator[Part]:
    """One Part of facts. The request is {}.

    `duration` (seconds from 0:00 to the end of the pictures), `duration_from` ("header" or "packets"), `starts_at` (seconds of the first
    picture, above 0 where the sound begins well before it), `offset` (seconds of 0:00 on the file's own clock), `width`, `height` (pixels
    as shown: upright, square), `rotation` (degrees to the left that were applied), `rate` (pictures a second on average, or null),
    `frames` (if the header counts them, or null), `container`, `codec`, `pixel_format`, `audio` (bool), `streams`, `subtitles` (tracks
    that hold text).
    Raises: MediaError, also where not one picture can be decoded; InputError for a bad request.
    """
    InfoRequest.from_dict(request)
    with open_video(file, name) as video:
        stream = video.stream
        first = next(iter(Pictures(file, video, [0.0])), None)
        if first is None:
            raise MediaError(f"not one picture of {name} can be decoded; it is damaged: save or download it again", "invalid_video")
        size = shown_size(first.frame, stream.sample_aspect_ratio)
        total = length(file, video)
        yield Part(
            {
                "duration": max(total.seconds, first.seconds),
                "duration_from": total.source,
                "starts_at": max(0.0, first.seconds),
                "offset": float(video.zero),
                "width": size[0],
                "height": size[1],
                "rotation": 90 * quarter_turns(first.frame),
                "rate": float(stream.average_rate) if stream.average_rate else None,
                "frames": stream.frames or None,
                "container": video.container.format.name,
                "codec": video.codec,
                "pixel_format": first.frame.format.name,
                "audio": bool(video.container.streams.audio),
                "streams": [{"kind": s.type, "codec": codec_name(s)} for s in video.container.streams],
                "subtitles": subtitle_tracks(video.container),
            }
        )


def subtitle_tracks(container: InputContainer) -> list[dict[str, Any]]:
    """The tracks that hold text: `track` counts all subtitle tracks from 0, pictures of text (DVD, Blu-ray) included."""
    return [
        {
            "track": number,
            "codec": codec_name(stream),
            "language": (stream.language or "")[:MAX_WORDS] or None,
            "title": stream.metadata.get("title", "")[:MAX_WORDS] or None,
            "default": bool(stream.disposition & Disposition.default),
        }
        for number, stream in enumerate(container.streams.subtitles)
        if codec_name(stream) in SUBTITLE_CODECS
    ]


def codec_name(stream: Stream) -> str | None:
    """FFmpeg's name of what a stream is encoded as; None where it knows no decoder."""
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else None
