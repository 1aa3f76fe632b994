"""Printed things that change: counters, scores, clocks, subtitles and title cards."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.clips.turns import Event, Part, Tally, Track
from kimi_vl.training.synth.content import Choice, Content, sized
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import Box, panel

PLATES = Choice(("bar", "bar", "tag"), ("pill",))  # what a counter is printed on
CARDS = Choice(("middle", "left"), ("framed",))
COUNTED = Choice(("", "Count", "Laps", "Items", "Points", "Level", "Visitors", "No."), ("Goals", "Steps", "Round"))
GAP = 4  # pixels around a plate


class Plate(NamedTuple):
    """Where a line of text is printed, on what and how; the text is centred."""

    box: Box
    font: Font
    paper: Colour
    ink: Colour
    radius: int

    def paint(self, canvas: Canvas, text: str) -> None:
        x0, y0, x1, y1 = self.box
        panel(canvas, self.box, self.paper, self.paper, self.radius)
        baseline = (y0 + y1 + self.font.ascent - self.font.descent) // 2
        canvas.write((x0 + x1 - self.font.width(text)) // 2, baseline, text, self.font, self.ink, paper=self.paper)


def plate(content: Content, size: tuple[int, int], widest: str, *, largest: int = 24, bottom: bool | None = None) -> Plate:
    """A plate at the top or the bottom of a frame, with room for `widest`. Raises Overfull."""
    width, height = size
    font = content.font(content.face(("sans", "sans", "mono", "condensed", "slab", "serif")), 14, largest)
    style, wide = str(PLATES.pick(content.rng, content.split)), font.width(widest) + 20
    if wide > width - 2 * GAP:
        raise Overfull("a counter is too wide")
    high = font.ascent + font.descent + 6
    at_bottom = content.chance(0.5) if bottom is None else bottom
    y = height - high if at_bottom else 0
    paper, ink = content.colours()
    if style == "bar":
        return Plate((0, y, width, y + high), font, paper, ink, 0)
    y += -GAP if at_bottom else GAP
    x = (width - wide) // 2 if style == "pill" else content.one((GAP, width - wide - GAP))
    return Plate((x, y, x + wide, y + high), font, paper, ink, high // 2 if style == "pill" else 3)


def rest_of(size: tuple[int, int], box: Box) -> Box:
    """The larger part of the frame, above or below `box`."""
    width, height = size
    return (0, box[3] + 2, width, height) if box[1] < height - box[3] else (0, 0, width, box[1] - 2)


def counter(content: Content, size: tuple[int, int], plan: Sequence[int], count: int) -> tuple[Part, Box]:
    """A number or a score that changes at the frames of `plan`; the part, and what of the frame it leaves. Raises Overfull."""
    rng = content.rng
    if content.chance(0.5):
        thing, values = "counter", _numbers(content, len(plan))
        label = str(COUNTED.pick(rng, content.split))
        texts = [f"{label} {value}".strip() for value in values]
    else:
        thing, values = "score", _scores(content, len(plan))
        teams = [content.proper().upper()[: rng.randint(3, 4)] for _ in range(2)]
        texts = values if content.chance(0.3) else [f"{teams[0]} {value} {teams[1]}" for value in values]
    steps = [sum(frame <= k for frame in plan) for k in range(count)]
    shown = plate(content, size, max(texts, key=len))
    events = [
        Event(
            frame,
            f"does the {thing} change to {values[n + 1]}",
            f"the {thing} changes to {values[n + 1]}",
            f"the {thing} shows {values[n]}",
            f"it shows {values[n + 1]}",
        )
        for n, frame in enumerate(plan)
    ]
    track = Track("shows_then", thing, tuple(values[step] for step in steps), "field", f"the {thing} shows {{}}")
    tally = Tally(f"does the {thing} change", f"the {thing} changes", tuple(plan))
    never = [(f"does the {thing} change to {value}", f"the {thing} changes to {value}") for value in _others(content, thing, values)]
    part = Part(
        lambda canvas, frame: shown.paint(canvas, texts[steps[frame]]), events, [track] * 3, [tally], never, x_height=shown.font.x_height
    )
    return part, rest_of(size, shown.box)


def _numbers(content: Content, changes: int) -> list[str]:
    """Counting up or down, mostly by one."""
    rng = content.rng
    step = content.one((1, 1, 1, 2, 5, 10, 100)) * content.one((1, 1, 1, -1))
    start = rng.randint(0, content.one((9, 99, 999))) + (abs(step) * changes if step < 0 else 0)
    return [str(start + step * n) for n in range(changes + 1)]


def _scores(content: Content, changes: int) -> list[str]:
    rng, sign = content.rng, content.one((" : ", "-", ":", " - "))
    a, b = rng.randint(0, 4), rng.randint(0, 4)
    values = [f"{a}{sign}{b}"]
    for _ in range(changes):
        a, b = (a + 1, b) if content.chance(0.5) else (a, b + 1)
        values.append(f"{a}{sign}{b}")
    return values


def _others(content: Content, thing: str, values: Sequence[str]) -> list[str]:
    """Values that are never shown, close to those that are."""
    if thing == "counter":
        found = [str(int(values[-1]) + content.rng.randint(11, 40)), str(int(values[0]) + 1001)]
    else:
        found = [value[::-1] for value in values] + [f"9{values[0][1:]}"]
    return [value for value in found if value not in values]


def running(content: Content, size: tuple[int, int], times: Sequence[int]) -> tuple[Part, Box]:
    """A stopwatch, a timer that counts down, or a clock; it need not run as fast as the clip. `times` are tenths of a second."""
    rng = content.rng
    thing = content.one(("stopwatch", "timer", "clock"))
    speed = content.one((1, 1, 2, 10, 60) if thing == "clock" else (1, 1, 1, 2, 10))
    gone = [(t - times[0]) * speed / 10 for t in times]
    start = rng.randint(0, 86399) if thing == "clock" else rng.randint(0, 1800)
    if thing == "timer":
        start += int(gone[-1]) + 1
    form: Callable[[float], str] = content.one({"clock": (_hms, _hms), "timer": (_ms, _ms), "stopwatch": (_ms, _tenths)}[thing])
    values = [form(start - t if thing == "timer" else start + t) for t in gone]
    shown = plate(content, size, max(values, key=len))
    track = Track("shows_then", thing, tuple(values), "field", f"the {thing} shows {{}}")
    part = Part(lambda canvas, frame: shown.paint(canvas, values[frame]), tracks=[track] * 3, steady=False, x_height=shown.font.x_height)
    return part, rest_of(size, shown.box)


def _hms(seconds: float) -> str:
    whole = int(seconds) % 86400
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _ms(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _tenths(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def subtitles(content: Content, size: tuple[int, int], plan: Sequence[int], count: int) -> tuple[Part, Box]:
    """Short texts at the bottom, one after the other, sometimes with nothing between. Raises Overfull."""
    font_plate = plate(content, size, "", largest=17, bottom=True)
    shown = font_plate._replace(box=(0, font_plate.box[1], size[0], font_plate.box[3]), radius=0)
    texts: list[str | None] = [_caption(content, shown) if content.chance(0.4) else None]
    for _ in plan:
        texts.append(None if texts[-1] is not None and content.chance(0.3) else _caption(content, shown))
    if len({text for text in texts if text}) < len([text for text in texts if text]):
        raise Overfull("a subtitle comes twice")
    steps = [sum(frame <= k for frame in plan) for k in range(count)]
    values = tuple(texts[step] for step in steps)
    events = [_change(frame, "subtitle", texts[n], texts[n + 1]) for n, frame in enumerate(plan)]
    track = Track("text_then", "", values, "read", 'it says "{}"', "there is no text")

    def paint(canvas: Canvas, frame: int) -> None:
        if text := values[frame]:
            shown.paint(canvas, text)

    other = _caption(content, shown)
    never = [] if other in texts else [(f'does the subtitle "{other}" appear', f'the subtitle "{other}" appears')]
    return Part(paint, events, [track] * 2, (), never, x_height=shown.font.x_height), (0, 0, size[0], shown.box[1] - 2)


def _caption(content: Content, shown: Plate) -> str:
    text = fitted(content.fragment(content.rng.randint(2, 4)), shown.font, shown.box[2] - shown.box[0] - 16)
    if shown.font.width(text) > shown.box[2] - shown.box[0] - 8 or '"' in text:
        raise Overfull("a subtitle is too wide")
    return text


def _change(frame: int, kind: str, old: str | None, new: str | None) -> Event:
    """One text gives way to another, or to none."""
    before = f'it says "{old}"' if old else "there is no text"
    if new is None:
        return Event(frame, f'does the {kind} "{old}" disappear', f'the {kind} "{old}" disappears', before, "there is no text")
    return Event(frame, f'does the {kind} "{new}" appear', f'the {kind} "{new}" appears', before, f'it says "{new}"')


class Card(NamedTuple):
    """A title and a smaller line below it, on a ground of its own."""

    title: str
    detail: str
    paper: Colour
    ink: Colour


def cards(content: Content, size: tuple[int, int], plan: Sequence[int], count: int) -> Part:
    """Title cards or slides that fill the frame. Raises Overfull."""
    width, height = size
    face = content.face(("sans", "serif", "slab", "condensed", "display"))
    title_font, font = content.font(face, 18, 30), sized(face, 14)
    room, style = width - 28, str(CARDS.pick(content.rng, content.split))
    details = content.one((content.date, content.code, lambda: content.fragment(3), lambda: content.words(2), content.person))
    same, colours = content.chance(0.4), content.colours()
    found: list[Card] = []
    for _ in range(len(plan) + 1):
        title = fitted(content.words(content.rng.randint(1, 2)).capitalize(), title_font, room)
        card = Card(title, fitted(details(), font, room), *(colours if same else content.colours()))
        if max(title_font.width(card.title), font.width(card.detail)) > room or '"' in card.title:
            raise Overfull("a card's text is too wide")
        found.append(card)
    if len({card.title for card in found}) < len(found):
        raise Overfull("a card comes twice")
    steps = [sum(frame <= k for frame in plan) for k in range(count)]

    def paint(canvas: Canvas, frame: int) -> None:
        card = found[steps[frame]]
        canvas.fill(0, 0, width, height, card.paper)
        if style == "framed":
            canvas.frame(6, 6, width - 6, height - 6, card.ink, 2)
        y = height // 2
        for text, used, baseline in ((card.title, title_font, y - title_font.descent), (card.detail, font, y + font.ascent + 6)):
            x = 14 if style == "left" else (width - used.width(text)) // 2
            canvas.write(x, baseline, text, used, card.ink, paper=card.paper)

    events = [_change(frame, "title", found[n].title, found[n + 1].title) for n, frame in enumerate(plan)]
    titles = tuple(found[step].title for step in steps)
    track = Track("title_then", "", titles, "title", 'the title is "{}"')
    detail = Track("detail_then", "", tuple(found[step].detail for step in steps), "read", 'it says "{}" below the title')
    tally = Tally("does the title change", "the title changes", tuple(plan))
    other = content.proper()
    known = any(other.casefold() in card.title.casefold() for card in found)
    never = [] if known else [(f'does the title "{other}" appear', f'the title "{other}" appears')]
    x_height = min(font.x_height, title_font.x_height)
    return Part(paint, events, [track, detail], [tally], never, x_height=x_height)
