"""What is said in a video, by the subtitles in its file, and which of it a question is shown where not all of it fits. Nothing is decoded
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from kimi_vl.media.pages import relevance


@dataclass(frozen=True, slots=True)
class Cue:
    """A line of speech, without line breaks, on screen from `start` to `end` (seconds)."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The cues of one subtitle `track` in order of time. `cut_short`: the file has more than is read (`video/subtitles.py`); `unreadable`:
    lines in between that are damaged, or not UTF-8."""

    cues: tuple[Cue, ...]
    track: int
    language: str | None
    cut_short: bool
    unreadable: int = 0

    @classmethod
    def from_facts(cls, facts: Iterable[Mapping[str, Any]]) -> Self:
        """Of the facts of all parts of `read_video_subtitles`. A cue that repeats the one before, as live captions do, is dropped."""
        cues: list[Cue] = []
        closing: Mapping[str, Any] = {}
        for part in facts:
            closing = part
            for start, end, text in part.get("subtitles", ()):
                line = " ".join(text.split())
                if line and not (cues and cues[-1].text == line):
                    cues.append(Cue(float(start), float(end), line))
        return cls(tuple(cues), closing["track"], closing["language"], closing["cut_short"], closing["unreadable"])


def chosen_cues(question: str, cues: Sequence[Cue], costs: Sequence[int], budget: int) -> list[int]:
    """The numbers of the cues to show, ascending; `costs` are their tokens, all that are chosen take at most `budget`.

    All where they fit. Else, as far as there is room: those with the question's words, the best first, each with its neighbours; then
    others, evenly over the whole.
    """
    if sum(costs) <= budget:
        return list(range(len(cues)))
    chosen: set[int] = set()
    for k in _by_worth(question, cues):
        if k not in chosen and costs[k] <= budget:
            chosen.add(k)
            budget -= costs[k]
    return sorted(chosen)


def _by_worth(question: str, cues: Sequence[Cue]) -> Iterator[int]:
    scores = relevance(question, [cue.text for cue in cues])
    for number in sorted(scores, key=lambda number: (-scores[number], number)):  # counted from 1
        yield from (k for k in (number - 1, number - 2, number) if 0 <= k < len(cues))
    yield from _evenly(len(cues))


def _evenly(count: int) -> Iterator[int]:
    """Every number below `count`, such that the first of them lie evenly at any moment: halves, quarters, eighths ..."""
    step = 1 << max(0, count - 1).bit_length()
    yield from range(0, count, max(1, step))
    while step > 1:
        yield from range(step // 2, count, step)
        step //= 2
