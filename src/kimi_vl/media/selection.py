"""Which moments of a video to look at, and how large, so that all of it fits a number of tokens. Nothing is decoded here.

How frames are spread is a policy: "fps" and "count" evenly, "scene" with every scene represented, "adaptive" with more where more changes.
How many and how large is `fit`: as many as the policy wants, at the largest size at which these fit; where that would be too small to
read, at the least size and fewer.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from kimi_vl.errors import InputError

Size = tuple[int, int]  # width, height in pixels
TokensOf = Callable[[int, int], int]  # of a picture of that width and height

POLICIES = ("fps", "count", "scene", "adaptive")
CUT = 0.3  # score of a change from which it may be a cut
ABOVE = 3.0  # times the usual change around it that a cut must be
AROUND = 2.0  # seconds on either side that are around it
SHORTEST = 1.0  # seconds of a scene
EVEN = 0.3  # share of frames that "adaptive" spreads evenly; the others follow the motion


@dataclass(frozen=True, kw_only=True, slots=True)
class Frugality:
    """What a clip may cost and how it is made to. The defaults are what nano was trained on.

    `per_second`, `most`: frames wanted, and their greatest number. `sparsest`: seconds between frames that are not exceeded before size
    is given up. `least_side`, `most_side`: pixels of the longer side, below which print is hardly read, and above which the model has
    seen none. `label_tokens`: of a time and the marks around a picture, at most (nano: 8 for "[0:03.5]", 12 from ten hours on, and 5).
    """

    per_second: float = 2.0
    most: int = 32
    sparsest: float = 10.0
    least_side: int = 168
    most_side: int = 280
    label_tokens: int = 17

    def __post_init__(self) -> None:
        for name in ("per_second", "most", "sparsest", "least_side", "most_side"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be above 0")
        if self.least_side > self.most_side:
            raise InputError(f"least_side is {self.least_side}; it must not be above most_side, {self.most_side}")


@dataclass(frozen=True, slots=True)
class Changes:
    """What `read_video_changes` found: at each of `seconds` the score of a `cut` and the `motion` since the one before, 0 to 1."""

    seconds: tuple[float, ...]
    cut: tuple[float, ...]
    motion: tuple[float, ...]

    @classmethod
    def from_facts(cls, facts: Iterable[Mapping[str, Any]]) -> Self:
        """Of the facts of all its parts; closing facts are passed over."""
        parts = [part for part in facts if "cut" in part]
        joined = {name: tuple(value for part in parts for value in part[name]) for name in ("seconds", "cut", "motion")}
        return cls(**joined)


@dataclass(frozen=True, slots=True)
class Scene:
    """From `start` up to `end`, in seconds; `strength` is the score of the cut it begins with (1 for the first)."""

    start: float
    end: float
    strength: float


@dataclass(frozen=True, slots=True)
class Fit:
    """So many frames of this size, at most `tokens` tokens with their labels, and what had to be given up for it."""

    count: int
    size: Size
    tokens: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Moments (seconds from 0:00, ascending) and the size at which to read them; `notes` say what was shrunk or left out, and why."""

    moments: tuple[float, ...]
    size: Size
    tokens: int
    notes: tuple[str, ...]


def select(
    size: Size,
    start: float,
    end: float,
    *,
    budget: int,
    tokens_of: TokensOf,
    policy: str = "fps",
    count: int | None = None,
    changes: Changes | None = None,
    frugality: Frugality | None = None,
) -> Selection:
    """Choose moments from `start` up to `end` (seconds) of a video of `size` as shown, so that frames and labels fit `budget` tokens.

    `count` is the number of frames wanted, instead of `per_second`; "count" needs it, "scene" and "adaptive" need `changes`.
    Raises: InputError for a policy without what it needs, and where not one frame fits.
    """
    if policy not in POLICIES:
        raise InputError(f"policy is {policy!r}; it must be one of {', '.join(map(repr, POLICIES))}")
    if policy == "count" and count is None:
        raise InputError("the policy 'count' needs a count of frames")
    if policy in ("scene", "adaptive") and changes is None:
        raise InputError(f"the policy {policy!r} needs the changes of the video (read_video_changes)")
    found = fit(end - start, size, budget, tokens_of, count=count, frugality=frugality)
    notes = list(found.notes)
    if changes is None or policy in ("fps", "count"):
        rate = (frugality or Frugality()).per_second
        moments = at_rate(start, end, rate, found.count) if policy == "fps" and count is None else evenly(start, end, found.count)
    else:
        scenes = find_scenes(changes, start, end)
        if len(scenes) > found.count:
            notes.append(f"{len(scenes)} scenes and {found.count} frames: the least distinct scenes are joined with those before them")
        moments = over_scenes(scenes, found.count) if policy == "scene" else adaptively(scenes, changes, found.count)
    tokens = len(moments) * (found.tokens // found.count)
    return Selection(tuple(moments), found.size, tokens, tuple(notes))


# Evenly --------------------------------------------------------------------------------------------------------------


def at_rate(start: float, end: float, per_second: float, most: int) -> list[float]:
    """`start` and every 1 / `per_second` seconds up to `end`; more than `most` such moments become `most`, evenly over the whole."""
    length = end - start
    wanted = max(1, round(length * per_second))
    step = 1 / per_second if wanted <= most else length / most
    return [start + k * step for k in range(min(most, wanted))]


def evenly(start: float, end: float, count: int) -> list[float]:
    """`count` moments, the first at `start`, as far from each other as the last is from `end`."""
    return [start + k * (end - start) / count for k in range(count)]


# By scene ------------------------------------------------------------------------------------------------------------


def find_scenes(changes: Changes, start: float, end: float) -> list[Scene]:
    """The scenes between `start` and `end`, without a gap; at least one.

    A cut is a score of at least `CUT` that is `ABOVE` times the median of the scores around it, so that shaking and fading are none.
    """
    seconds, scores = np.asarray(changes.seconds), np.asarray(changes.cut)
    cuts: list[tuple[float, float]] = []
    for k in np.flatnonzero(scores >= CUT):
        near = np.abs(seconds - seconds[k]) <= AROUND
        near[k] = False
        usual = float(np.median(scores[near])) if near.any() else 0.0
        since = cuts[-1][0] if cuts else start
        if scores[k] >= ABOVE * usual and seconds[k] - since >= SHORTEST and seconds[k] < end - SHORTEST / 2:
            cuts.append((float(seconds[k]), float(scores[k])))
    borders = [(start, 1.0), *cuts, (end, 0.0)]
    return [Scene(a, b, strength) for (a, strength), (b, _) in pairwise(borders)]


def over_scenes(scenes: Sequence[Scene], count: int) -> list[float]:
    """At least one moment in every scene, more in longer ones, each in the middle of its part of the scene."""
    scenes = _joined(scenes, count)
    shares = _shares([scene.end - scene.start for scene in scenes], count)
    return [
        scene.start + (k + 0.5) / share * (scene.end - scene.start)
        for scene, share in zip(scenes, shares, strict=True)
        for k in range(share)
    ]


def adaptively(scenes: Sequence[Scene], changes: Changes, count: int) -> list[float]:
    """As `over_scenes`, but scenes with more motion get more of the moments, and within a scene its livelier parts do."""
    scenes = _joined(scenes, count)
    times, heights = _activity(scenes, changes)
    lows = [float(np.interp(scene.start, times, heights)) for scene in scenes]
    highs = [*lows[1:], 1.0]
    shares = _shares([high - low for low, high in zip(lows, highs, strict=True)], count)
    moments = []
    for scene, share, low, high in zip(scenes, shares, lows, highs, strict=True):
        middles = [low + (k + 0.5) / share * (high - low) for k in range(share)]
        inside = math.nextafter(scene.end, scene.start)
        moments += [min(max(float(m), scene.start), inside) for m in np.interp(middles, heights, times)]
    return sorted(moments)


def _joined(scenes: Sequence[Scene], count: int) -> list[Scene]:
    """At most `count` scenes: those behind the strongest cuts."""
    weakest = sorted(range(1, len(scenes)), key=lambda k: (-scenes[k].strength, k))[max(0, count - 1) :]
    kept = [scene for k, scene in enumerate(scenes) if k not in set(weakest)]
    ends = [scene.start for scene in kept[1:]] + [scenes[-1].end]
    return [Scene(scene.start, end, scene.strength) for scene, end in zip(kept, ends, strict=True)]


def _shares(weights: Sequence[float], count: int) -> list[int]:
    """`count` things for as many receivers or fewer: one each, then always to the one with the greatest weight for each it would have."""
    shares = [1] * len(weights)
    waiting = [(-weight / 2, k) for k, weight in enumerate(weights)]
    heapq.heapify(waiting)
    for _ in range(count - len(weights)):
        _, k = heapq.heappop(waiting)
        shares[k] += 1
        heapq.heappush(waiting, (-weights[k] / (shares[k] + 1), k))
    return shares


def _activity(scenes: Sequence[Scene], changes: Changes) -> tuple[np.ndarray, np.ndarray]:
    """How much of all that happens has happened by then, from 0 to 1: times and heights, both ascending. A cut itself is no motion."""
    start, end = scenes[0].start, scenes[-1].end
    starts = {scene.start for scene in scenes}
    inside = [(t, 0.0 if t in starts else m) for t, m in zip(changes.seconds, changes.motion, strict=True) if start < t < end]
    times = np.array([start, *(t for t, _ in inside), end])
    motion = np.cumsum([0.0, *(m for _, m in inside), 0.0])
    even = (times - start) / (end - start)
    return times, EVEN * even + (1 - EVEN) * motion / motion[-1] if motion[-1] > 0 else even


# How many and how large ----------------------------------------------------------------------------------------------


def scaled_to(size: Size, side: int) -> Size:
    """`size` with its longer side scaled down to `side` pixels; never up."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fit(
    duration: float, size: Size, budget: int, tokens_of: TokensOf, *, count: int | None = None, frugality: Frugality | None = None
) -> Fit:
    """How many frames of which size, so that the whole of `duration` seconds fits `budget` tokens, labels included.

    In order: as many frames as wanted, as large as fits, down to `least_side`; then fewer frames, down to one every `sparsest` seconds;
    then smaller ones all the same; then as many as there is room for. Raises: InputError where not one fits.
    """
    rules = frugality or Frugality()
    if min(size) < 1:
        raise InputError(f"the video is {size[0]}×{size[1]} pixels; there is nothing in it")
    top = min(max(size), rules.most_side)
    floor = min(top, rules.least_side)

    def cost(side: int) -> int:
        return tokens_of(*scaled_to(size, side)) + rules.label_tokens

    wanted, notes = _wanted(duration, count, rules)
    least = min(wanted, max(1, math.ceil(duration / rules.sparsest)))
    frames, low = wanted, floor
    if frames * cost(floor) > budget:
        frames, low = max(least, budget // cost(floor)), 1
    if frames * cost(low) > budget:
        frames = budget // cost(low)
    if frames < 1:
        raise InputError(f"{budget:,} tokens hold not one frame of this video; it takes at least {cost(low)} with its time")
    side = _largest(low, top, lambda side: frames * cost(side) <= budget)
    shown = scaled_to(size, side)
    notes += _notes(size, shown, wanted, frames, floor, side, top, budget)
    return Fit(frames, shown, frames * cost(side), tuple(notes))


def _wanted(duration: float, count: int | None, rules: Frugality) -> tuple[int, list[str]]:
    if count is not None:
        if count < 1:
            raise InputError(f"count is {count}; it must be at least 1")
        return count, []
    wanted = max(1, round(duration * rules.per_second))
    if wanted <= rules.most:
        return wanted, []
    spacing = duration / rules.most
    return rules.most, [
        f"{rules.per_second:g} frames a second would be {wanted:,}; {rules.most} are the most, so one every {spacing:.1f} seconds"
    ]


def _notes(size: Size, shown: Size, wanted: int, frames: int, floor: int, side: int, top: int, budget: int) -> list[str]:
    notes = []
    if frames < wanted:
        notes.append(f"{frames} of {wanted} frames: more would not fit {budget:,} tokens")
    if side < top:
        notes.append(f"frames of {shown[0]}×{shown[1]} pixels, so that {frames} of them fit {budget:,} tokens")
    elif shown != size:
        notes.append(f"frames of {shown[0]}×{shown[1]} pixels instead of {size[0]}×{size[1]}: larger ones are not taken from videos")
    if side < floor:
        notes.append(f"small print will not be legible below {floor} pixels; ask about a shorter clip, or allow more tokens")
    return notes


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest side from `low`, which fits, to `high` that fits. Larger sides never take fewer tokens."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


# Repeats -------------------------------------------------------------------------------------------------------------


def covered(facts: Iterable[Mapping[str, Any]], end: float) -> list[tuple[int, float, float]]:
    """What each frame with pixels stands for: (its index, from, until) in seconds, without a gap up to `end`.

    `facts` are those of `read_video_frames` in order; frames that repeat another are covered by it.
    """
    kept = [(part["index"], part["moments"][0]) for part in facts if "moments" in part and "repeats" not in part]
    until = [start for _, start in kept[1:]] + [end]
    return [(index, start, stop) for (index, start), stop in zip(kept, until, strict=True)]
