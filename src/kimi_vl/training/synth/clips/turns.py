"""What can be asked about a clip: when, in which order, how often, how long, and what is to be seen at a time.

A time is the label of a frame. An event's time is that of the first frame that shows its result; no two events share a frame.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kimi_vl.processor.labels import format_time
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.traces import Quote, Scratchpad


class Event(NamedTuple):
    """Something that happens: the first frame that shows it, and how it is told ("the star appears", "does the star appear").

    `before` and `after` say what the frame before it and its own frame show.
    """

    frame: int
    asked: str
    told: str
    before: str
    after: str


class Track(NamedTuple):
    """Something that every frame shows: its value in each, None where it cannot be seen, which `missing` explains.

    `key` names the question's wordings; `said` tells the value, with a brace for it.
    """

    key: str
    thing: str
    values: tuple[str | None, ...]
    task: str
    said: str
    missing: str = ""


class Tally(NamedTuple):
    """Something that may happen several times, at these frames."""

    asked: str
    told: str
    frames: tuple[int, ...]


def nothing(image: np.ndarray, frame: int) -> None:
    """Covers nothing."""


class Part(NamedTuple):
    """A part of what a clip shows: `paint` draws frame k of it, `cover` what lies above the printed text, the rest are its facts.

    `never` are (asked, told) of what could happen but does not. A `steady` part changes by its events alone. `x_height` is that of its
    smallest text (pixels).
    """

    paint: Callable[[Canvas, int], None]
    events: Sequence[Event] = ()
    tracks: Sequence[Track] = ()
    tallies: Sequence[Tally] = ()
    never: Sequence[tuple[str, str]] = ()
    steady: bool = True
    x_height: float = 20.0
    cover: Callable[[np.ndarray, int], None] = nothing


class Clip(NamedTuple):
    """Facts of a drawn clip: each frame's time as answers name it, and in tenths of a second; events in order."""

    times: tuple[str, ...]
    tenths: tuple[int, ...]
    events: tuple[Event, ...]
    tracks: tuple[Track, ...]
    tallies: tuple[Tally, ...]
    never: tuple[tuple[str, str], ...]
    steady: bool


class VideoTurns:
    """Draws turns about one clip; each maker returns None when the clip does not allow its question."""

    def __init__(self, content: Content, interview: Interview, clip: Clip) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.clip = interview, clip
        told = [event.told for event in clip.events]
        self.single = [event for event in clip.events if told.count(event.told) == 1]

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the clip is poor."""
        makers = (
            *((self.when, 28), (self.when_shows, 8), (self.at_time, 9), (self.between, 8), (self.first_of, 6), (self.is_before, 4)),
            *((self.listed, 6), (self.following, 4), (self.outer, 3), (self.how_often, 9), (self.how_long, 9), (self.track, 26)),
            *((self.text_after, 4), (self.never, 8), (self.unseen, 3), (self.outside, 2), (self.frame_count, 2), (self.last_time, 2)),
            (self.interview.foreign, 1),
        )
        return self.interview.draw(count, makers) or [self.interview.foreign()]

    def time(self, event: Event) -> str:
        return self.clip.times[event.frame]

    def some(self) -> Event | None:
        return self.content.one(self.single) if self.single else None

    def two(self) -> tuple[Event, Event] | None:
        """Two events, the earlier one first."""
        if len(self.single) < 2:
            return None
        a, b = sorted(self.rng.sample(range(len(self.single)), 2))
        return self.single[a], self.single[b]

    # Times -----------------------------------------------------------------------------------------------------------

    def when(self) -> Turn | None:
        event = self.some()
        if event is None:
            return None
        before = self.clip.times[event.frame - 1]
        thought = f"At {before} {event.before}; at {self.time(event)} {event.after}."
        return self.interview.glance("when", self.time(event), thought, "when", asked=event.asked, told=event.told)

    def when_shows(self) -> Turn | None:
        """The first frame with a value, of something that is read; values do not come back."""
        tracks = [track for track in self.clip.tracks if track.key == "shows_then"]
        if not tracks:
            return None
        track = self.content.one(tracks)
        values = [value for value in dict.fromkeys(track.values) if value is not None and value != track.values[0]]
        if not values:
            return None
        value = self.content.one(values)
        frame = track.values.index(value)
        said = track.said.format(track.values[frame - 1] or "nothing")
        thought = f"At {self.clip.times[frame - 1]} {said}; at {self.clip.times[frame]} {track.said.format(value)}."
        return self.interview.glance("when_shows", self.clip.times[frame], thought, "when", thing=track.thing, value=value)

    def at_time(self) -> Turn | None:
        event = self.content.one(self.clip.events)
        thought = f"At {self.clip.times[event.frame - 1]} {event.before}; at {self.time(event)} {event.after}."
        return self.interview.glance("at_time", sentence(event.told), thought, "state", time=self.time(event))

    def between(self) -> Turn | None:
        """Around one event, or two."""
        if not self.clip.steady:
            return None
        first = self.rng.randrange(len(self.clip.events))
        last = min(len(self.clip.events), first + self.rng.randint(1, 2)) - 1
        inside = self.clip.events[first : last + 1]
        low = self.clip.events[first - 1].frame + 1 if first else 0
        high = self.clip.events[last + 1].frame if last + 1 < len(self.clip.events) else len(self.clip.times)
        if low >= inside[0].frame or inside[-1].frame + 1 >= high:
            return None
        a, b = self.rng.randrange(low, inside[0].frame), self.rng.randrange(inside[-1].frame + 1, high)
        thought = " ".join(f"At {self.time(event)} {event.told}." for event in inside)
        answer = " ".join(sentence(event.told) for event in inside)
        return self.interview.glance("between", answer, thought, "state", a=self.clip.times[a], b=self.clip.times[b])

    def how_long(self) -> Turn | None:
        """The difference of two times, worked out in seconds."""
        if not (pair := self.two()):
            return None
        a, b = pair
        start, end = self.clip.tenths[a.frame], self.clip.tenths[b.frame]
        pad = Scratchpad(self.rng, seconds)
        pad.say("I look up both times and take one from the other.", "First both times, then the difference.", "I need two times.")
        pad.quote([Quote(event.told, 0, self.time(event), f"{self.time(event)} {event.told}") for event in pair])
        minute = start // 600 * 600
        if end - minute >= 600:
            pad.lines.append(f"Counted from {format_time(minute / 10)}: {seconds(start - minute)} and {seconds(end - minute)}")
        pad.minus(end - minute, start - minute)
        return self.interview.work("how_long", f"{seconds(end - start)} s", pad.finish(), "sum", trivial=True, a=a.told, b=b.told)

    # Order -----------------------------------------------------------------------------------------------------------

    def first_of(self) -> Turn | None:
        if not (pair := self.two()):
            return None
        early, late = pair
        a, b = pair if self.content.chance(0.5) else (late, early)
        first = self.content.chance(0.6)
        thought = f"At {self.time(early)} {early.told}; at {self.time(late)} {late.told}."
        answer = early.told if first else late.told
        return self.interview.glance("first_of" if first else "later_of", sentence(answer), thought, "order", a=a.told, b=b.told)

    def is_before(self) -> Turn | None:
        if not (pair := self.two()):
            return None
        early, late = pair
        right = self.content.chance(0.5)
        a, b = pair if right else (late, early)
        thought = f"At {self.time(early)} {early.told}; at {self.time(late)} {late.told}."
        return self.interview.glance("is_before", "Yes." if right else "No.", thought, "order", a=a.told, b=b.told)

    def listed(self) -> Turn:
        answer = "\n".join(f"{self.time(event)} {sentence(event.told)}" for event in self.clip.events)
        return self.interview.glance("list_events", answer, f"Events: {len(self.clip.events)}.", "order")

    def following(self) -> Turn | None:
        event = self.some()
        if event is None or event is self.clip.events[-1]:
            return None
        after = self.clip.events[self.clip.events.index(event) + 1]
        thought = f"At {self.time(event)} {event.told}; then, at {self.time(after)}, {after.told}."
        return self.interview.glance("next_event", sentence(after.told), thought, "order", told=event.told)

    def outer(self) -> Turn:
        first = self.content.chance(0.5)
        event = self.clip.events[0 if first else -1]
        thought = f"At {self.time(event)} {event.told}."
        return self.interview.glance("first_event" if first else "last_event", sentence(event.told), thought, "order")

    def text_after(self) -> Turn | None:
        """The text that comes next, of texts that come but once."""
        tracks = [track for track in self.clip.tracks if track.key in ("text_then", "title_then")]
        if not tracks:
            return None
        texts = [text for text in dict.fromkeys(self.content.one(tracks).values) if text is not None]
        if len(texts) < 2:
            return None
        k = self.rng.randrange(len(texts) - 1)
        thought = f'After "{texts[k]}" comes "{texts[k + 1]}".'
        return self.interview.glance("text_after", texts[k + 1], thought, "order", text=texts[k])

    # Counting --------------------------------------------------------------------------------------------------------

    def how_often(self) -> Turn | None:
        if not self.clip.tallies:
            return None
        tally = self.content.one(self.clip.tallies)
        rows = "\n".join(f"{n}. {self.clip.times[frame]}" for n, frame in enumerate(tally.frames, 1))
        return self.interview.glance(
            "how_often", str(len(tally.frames)), rows or "That does not happen.", "count", asked=tally.asked, told=tally.told
        )

    def frame_count(self) -> Turn:
        times = self.clip.times
        thought = f"From {times[0]} to {times[-1]} there are {len(times)}."
        return self.interview.glance("frame_count", str(len(times)), thought, "count")

    def last_time(self) -> Turn:
        return self.interview.glance("last_time", self.clip.times[-1], f"The last label is {self.clip.times[-1]}.", "when")

    # What is seen at a time --------------------------------------------------------------------------------------------

    def moment(self, frame: int, hidden: str = "") -> tuple[str, str]:
        """Words for a frame, and what is to be thought about them first; they do not give away what is `hidden`."""
        options = [(f"at {self.clip.times[frame]}", "")] * 3
        if frame == 0:
            options += [(words, f"The first frame is {self.clip.times[0]}. ") for words in ("at the beginning", "in the first frame")]
        if frame == len(self.clip.times) - 1:
            options += [(words, f"The last frame is {self.clip.times[-1]}. ") for words in ("at the end", "in the last frame")] * 2
        options += [
            (f"when {e.told}", f"At {self.time(e)} {e.told}. ")
            for e in self.single
            if e.frame == frame and not (hidden and hidden in e.told)
        ] * 2
        return self.content.one(options)

    def track(self) -> Turn | None:
        """Often at the end or at an event, else at any time."""
        if not self.clip.tracks:
            return None
        track = self.content.one(self.clip.tracks)
        frame = self.content.one((-1, self.content.one(self.clip.events).frame, self.rng.randrange(len(self.clip.times))))
        frame %= len(self.clip.times)
        value = track.values[frame]
        when, first = self.moment(frame, value or "")
        if value is None:
            if not track.missing:
                return None
            return self.interview.refuse(track.key, f"{first}At {self.clip.times[frame]} {track.missing}.", thing=track.thing, when=when)
        thought = f"{first}At {self.clip.times[frame]} {track.said.format(value)}".removesuffix(".") + "."
        return self.interview.glance(track.key, value, thought, track.task, thing=track.thing, when=when)

    # Refusals --------------------------------------------------------------------------------------------------------

    def never(self) -> Turn | None:
        """The time of something that does not happen; how often it happens would be 0."""
        if not self.clip.never:
            return None
        asked, told = self.content.one(self.clip.never)
        if self.content.chance(0.2):
            return self.interview.glance("how_often", "0", "That does not happen.", "count", asked=asked, told=told)
        return self.interview.refuse("when", f"I see no frame in which {told}.", asked=asked, told=told)

    def unseen(self) -> Turn | None:
        """What a thing shows that is not there."""
        things = [
            thing for thing in ("counter", "score", "stopwatch", "clock", "timer") if thing not in {t.thing for t in self.clip.tracks}
        ]
        if any(track.key == "shows_then" for track in self.clip.tracks):
            return None
        thing = self.content.one(things)
        when, _ = self.moment(self.rng.randrange(len(self.clip.times)))
        return self.interview.refuse("shows_then", f"I see no {thing}.", thing=thing, when=when)

    def outside(self) -> Turn:
        """What happens after the last frame."""
        time = format_time(self.clip.tenths[-1] / 10 + self.rng.randint(2, 40))
        return self.interview.refuse("at_time", f"The last frame is {self.clip.times[-1]}.", time=time)


def sentence(told: str) -> str:
    """Capitalised, with a full stop."""
    return f"{told[0].upper()}{told[1:]}."


def seconds(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"
