"""Where a video changes, as numbers: found on small pictures in one pass, so that an hour needs no pixels where frames are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from kimi_vl.errors import MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.video.container import open_video
from kimi_vl.media.video.difference import SMALL, cut, motion
from kimi_vl.media.video.frames import stretch
from kimi_vl.media.video.picture import Painter, quarter_turns
from kimi_vl.media.video.request import ChangesRequest
from kimi_vl.media.video.walk import Pictures

BATCH = 256  # samples in a Part


def read_video_changes(file: BinaryIO, name: str, request: object) -> Iterator[Part]:
    """Parts of facts: `seconds`, `cut` and `motion`, lists of equal length, in order of time.

    `cut` and `motion` (0 to 1, see `difference`) compare a sample with the one before it; of the first they are 0. A sample whose frame is
    the same as the last one's is left out: nothing has changed. The request holds the keys of `ChangesRequest`.
    The closing facts are those of `read_video_frames`. Raises: as `read_video_frames`.
    """
    wanted = ChangesRequest.from_dict(request)
    with open_video(file, name) as video:
        moments = stretch(file, video, wanted.start, wanted.end, wanted.per_second, wanted.max_samples)
        pictures = Pictures(file, video, moments)
        painter, before, given = Painter(), None, 0
        rows: list[tuple[float, float, float]] = []
        for shown in pictures:
            size = SMALL[::-1] if quarter_turns(shown.frame) % 2 else SMALL
            small = painter.pixels(shown.frame, size)
            rows.append((shown.moments[0], *_scores(before, small)))
            before, given = small, given + 1
            if len(rows) == BATCH:
                yield _part(rows)
                rows = []
        if not given:
            raise MediaError(
                f"no picture of {name} can be decoded ({pictures.damage.get('reason', 'there is none in that stretch')})", "invalid_video"
            )
        if rows:
            yield _part(rows)
        yield Part({"end": True, "frames": given, "damaged_at": None, **pictures.damage})


def _scores(before: np.ndarray | None, after: np.ndarray) -> tuple[float, float]:
    if before is None or before.shape != after.shape:
        return 0.0, 0.0
    return round(cut(before, after), 4), round(motion(before, after), 4)


def _part(rows: list[tuple[float, float, float]]) -> Part:
    seconds, cuts, motions = zip(*rows, strict=True)
    return Part({"seconds": list(seconds), "cut": list(cuts), "motion": list(motions)})
