"""The stretch of a video that somebody asks about: "00:10-00:40"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kimi_vl.errors import InputError

_TIME = re.compile(r"(?:(?:(\d{1,3}):)?([0-5]?\d):)?(\d+(?:\.\d{1,6})?)", re.ASCII)
_FORMS = "it must read START-END, e.g. 00:10-00:40, 10-40, 1:02:03- or -0:30 (hours:minutes:seconds, or seconds)"
LATEST = 1e6  # seconds


@dataclass(frozen=True, slots=True)
class Clip:
    """From `start` up to `end`, in seconds from 0:00; `end` None is the end of the video."""

    start: float = 0.0
    end: float | None = None

    def within(self, duration: float) -> tuple[float, float]:
        """Start and end in a video of `duration` seconds; an end behind the video's is the video's. Raises: InputError where nothing is
        left.
        """
        if self.start > 0 and self.start >= duration:
            raise InputError(f"the clip begins at {self.start:g} seconds and the video is only {duration:.1f} seconds long")
        return self.start, duration if self.end is None else min(self.end, max(duration, self.start))


def parse_clip(text: str) -> Clip:
    """ "00:10-00:40", "10-40", "1:02:03-", "-0:30" as a Clip. Raises: InputError saying what is wrong with it."""
    parts = text.strip().replace("\N{EN DASH}", "-").split("-") if isinstance(text, str) else []
    if len(parts) != 2 or not any(part.strip() for part in parts):
        raise InputError(f"{ascii(text)[:60]} is no clip; {_FORMS}")
    start, end = (_seconds(part.strip(), text) for part in parts)
    if end is not None and end <= (start or 0.0):
        raise InputError(f"the clip {text.strip()!r} ends where it begins or before; the time after the dash must be the later one")
    return Clip(start or 0.0, end)


def _seconds(part: str, text: str) -> float | None:
    if not part:
        return None
    match = _TIME.fullmatch(part)
    if match is None:
        raise InputError(f"{part[:30]!r} in the clip {text.strip()[:60]!r} is no time; {_FORMS}")
    hours, minutes, rest = match.groups()
    if minutes is not None and float(rest) >= 60:
        raise InputError(f"{part[:30]!r} in the clip {text.strip()[:60]!r} has {rest} seconds after the minutes; they must be below 60")
    seconds = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(rest)
    if seconds > LATEST:
        raise InputError(f"{part[:30]!r} in the clip {text.strip()[:60]!r} is later than any video lasts ({LATEST:,.0f} seconds)")
    return seconds
