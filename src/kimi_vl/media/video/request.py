"""What may be asked of a video's readers, checked strictly: a request is JSON from another process."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Self

from kimi_vl.errors import InputError

MAX_FRAMES = 100_000  # more than a day at one a second
MAX_SECONDS = 1e6  # eleven days
MAX_RATE = 240.0
MAX_SIDE = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoRequest:
    """Nothing can be chosen."""

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Raises: InputError for any key."""
        return cls(**known(cls, values))


@dataclass(frozen=True, kw_only=True, slots=True)
class FramesRequest:
    """Which frames, and how large.

    `moments` (seconds from 0:00, ascending) or `per_second` from `start` up to, not including, `end` (default: the end of the pictures).
    `size` is [width, height] exactly, `most_side` scales down to that; without either, frames come as large as they are shown.
    `repeats` "drop" gives a frame that looks like the last one given as facts alone.
    """

    moments: tuple[float, ...] | None = None
    per_second: float | None = None
    start: float = 0.0
    end: float | None = None
    size: tuple[int, int] | None = None
    most_side: int | None = None
    max_frames: int = 256
    repeats: str = "keep"

    def __post_init__(self) -> None:
        if (self.moments is None) == (self.per_second is None):
            raise InputError("a request for frames needs either moments or per_second")
        if self.size is not None and self.most_side is not None:
            raise InputError("a request for frames may have size or most_side, not both")
        span(self.start, self.end)
        if self.repeats not in ("keep", "drop"):
            raise InputError(f'repeats is {self.repeats!r}; it must be "keep" or "drop"')
        if self.moments is not None and (self.start != 0.0 or self.end is not None):
            raise InputError("start and end go with per_second; moments say themselves where they are")
        if self.moments is not None and len(self.moments) > self.max_frames:
            raise InputError(f"moments has {len(self.moments):,} entries; max_frames is {self.max_frames:,}")

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Raises: InputError for an unknown key or a bad value."""
        given = known(cls, values)
        if given.get("moments") is not None:
            given["moments"] = ascending(given["moments"])
        if given.get("size") is not None:
            given["size"] = sides(given["size"])
        _number(given, "per_second", 1e-4, MAX_RATE)
        _number(given, "start", 0.0, MAX_SECONDS)
        _number(given, "end", 0.0, MAX_SECONDS)
        _whole(given, "most_side", 1, MAX_SIDE)
        _whole(given, "max_frames", 1, MAX_FRAMES)
        return cls(**given)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangesRequest:
    """How densely to look for changes, `per_second` times from `start` to `end`; fewer where that is more than `max_samples`."""

    per_second: float = 4.0
    start: float = 0.0
    end: float | None = None
    max_samples: int = 20_000

    def __post_init__(self) -> None:
        span(self.start, self.end)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Raises: InputError for an unknown key or a bad value."""
        given = known(cls, values)
        _number(given, "per_second", 1e-4, MAX_RATE)
        _number(given, "start", 0.0, MAX_SECONDS)
        _number(given, "end", 0.0, MAX_SECONDS)
        _whole(given, "max_samples", 2, MAX_FRAMES)
        return cls(**given)


@dataclass(frozen=True, kw_only=True, slots=True)
class SubtitlesRequest:
    """Which track, counted as in `read_video_info` (default: the one meant to be shown, else the first), and the stretch of it."""

    track: int | None = None
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        span(self.start, self.end)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """Raises: InputError for an unknown key or a bad value."""
        given = known(cls, values)
        _whole(given, "track", 0, 1000)
        _number(given, "start", 0.0, MAX_SECONDS)
        _number(given, "end", 0.0, MAX_SECONDS)
        return cls(**given)


def known(cls: Any, values: object) -> dict[str, Any]:
    """A copy of `values`, whose keys are fields of `cls`; what is null and may not be is left to its default. Raises: InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"a request must be a JSON object, not {type(values).__name__}")
    names = [field.name for field in fields(cls)]
    for key in values:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            raise InputError(f"unknown key {key!r} in a request" + (f"; did you mean {near[0]!r}?" if near else f"; known: {names}"))
    return {key: value for key, value in values.items() if value is not None}


def span(start: float, end: float | None) -> None:
    """Raises: InputError where `end` is not after `start` (seconds)."""
    if end is not None and end <= start:
        raise InputError(f"end is {end:g} seconds; it must be after start, {start:g}")


def ascending(values: object) -> tuple[float, ...]:
    """Moments in seconds. Raises: InputError where they are no numbers from 0 in ascending order."""
    if not isinstance(values, (list, tuple)) or not all(_is_number(v, 0.0, MAX_SECONDS) for v in values):
        raise InputError(f"moments must be a list of seconds from 0 to {MAX_SECONDS:,.0f}, not {str(values)[:60]}")
    for before, after in pairwise(values):
        if after < before:
            raise InputError(f"moments must ascend; {after:g} follows {before:g}")
    return tuple(float(v) for v in values)


def sides(value: object) -> tuple[int, int]:
    """Width and height in pixels. Raises: InputError."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(type(v) is int and 1 <= v <= MAX_SIDE for v in value):
        raise InputError(f"size is {value!r}; it must be [width, height] in pixels, each from 1 to {MAX_SIDE:,}")
    return value[0], value[1]


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and least <= value <= most


def _number(given: dict[str, Any], name: str, least: float, most: float) -> None:
    if name in given:
        if not _is_number(given[name], least, most):
            raise InputError(f"{name} is {given[name]!r}; it must be a number from {least:g} to {most:,g}")
        given[name] = float(given[name])


def _whole(given: dict[str, Any], name: str, least: int, most: int) -> None:
    if name in given and not (type(given[name]) is int and least <= given[name] <= most):
        raise InputError(f"{name} is {given[name]!r}; it must be a whole number from {least:,} to {most:,}")
