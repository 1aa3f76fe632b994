"""Frames of a video at moments, or so many a second, as facts and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from kimi_vl.errors import MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.selection import at_rate, scaled_to
from kimi_vl.media.video.container import Video, open_video
from kimi_vl.media.video.difference import is_repeat
from kimi_vl.media.video.length import length
from kimi_vl.media.video.picture import Painter, Size, shown_size
from kimi_vl.media.video.request import FramesRequest
from kimi_vl.media.video.walk import Pictures, Shown


def read_video_frames(file: BinaryIO, name: str, request: object) -> Iterator[Part]:
    """Part by part, in order: every frame that is on screen at one of the moments asked for, then closing facts. Decoded as they are taken.

    The request holds the keys of `FramesRequest`. The frame at a moment is the last whose presentation time is not after it; before the
    first picture it is the first. A frame's facts: `seconds` (its presentation time), `moments` (those asked for at which it is on
    screen, mostly one), `index` (counted from 0 over what is given), `keyframe`, and `damaged` (true) where the right one could not be
    decoded. Where repeats are dropped, a frame that looks like the last one with pixels has `repeats` (that one's index) and no pixels.
    The closing facts: `end` (true), `frames` (given, repeats included), `damaged_at` (seconds, or null), and there `errors` and `reason`.
    Raises: MediaError for a file of which no frame can be given, or beyond the limits; InputError for a bad request.
    """
    wanted = FramesRequest.from_dict(request)
    with open_video(file, name) as video:
        pictures = Pictures(file, video, moments_of(file, video, wanted))
        painter, given, kept = Painter(), 0, _Kept()
        for shown in pictures:
            pixels = painter.pixels(shown.frame, target(shown, video, wanted))
            facts = facts_of(shown, given)
            given += 1
            if wanted.repeats == "drop" and kept.pixels is not None and is_repeat(kept.pixels, pixels):
                yield Part(facts | {"repeats": kept.index})
                continue
            kept.index, kept.pixels = facts["index"], pixels if wanted.repeats == "drop" else None
            yield Part(facts, pixels)
        if not given:
            why = pictures.damage.get("reason", "there is none in that stretch")
            raise MediaError(f"no picture of {name} can be given ({why})", "invalid_video")
        yield Part({"end": True, "frames": given, "damaged_at": None, **pictures.damage})


class _Kept:
    """The last frame with pixels."""

    index: int = 0
    pixels: np.ndarray | None = None


def moments_of(file: BinaryIO, video: Video, wanted: FramesRequest) -> list[float]:
    """The moments of a request, in seconds. Raises: MediaError where the stretch lies behind the end."""
    if wanted.moments is not None:
        return list(wanted.moments)
    assert wanted.per_second is not None
    return stretch(file, video, wanted.start, wanted.end, wanted.per_second, wanted.max_frames)


def stretch(file: BinaryIO, video: Video, start: float, end: float | None, per_second: float, most: int) -> list[float]:
    """Moments at a rate from `start` to `end` (default: the end of the pictures). Raises: MediaError where there is nothing."""
    if end is None:
        end = length(file, video).seconds
        if start > 0 and start >= end:
            raise MediaError(f"{video.name} is {end:.1f} seconds long; there is nothing from {start:.1f} seconds on", "invalid_value")
    return at_rate(start, max(end, start + 1e-3), per_second, most)


def target(shown: Shown, video: Video, wanted: FramesRequest) -> Size:
    """Width and height to draw a frame at."""
    if wanted.size is not None:
        return wanted.size
    size = shown_size(shown.frame, video.stream.sample_aspect_ratio)
    return size if wanted.most_side is None else scaled_to(size, wanted.most_side)


def facts_of(shown: Shown, index: int) -> dict[str, Any]:
    """What is said about a frame that is given."""
    facts = {
        "seconds": max(0.0, shown.seconds),
        "moments": list(shown.moments),
        "index": index,
        "keyframe": bool(shown.frame.key_frame),
    }
    return facts | ({"damaged": True} if shown.damaged else {})
