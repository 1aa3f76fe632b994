"""Shapes that appear, move, change colour or size, blink, bounce, cross the picture or touch, in lanes beside each other."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.clips.turns import Event, Part, Tally, Track
from kimi_vl.training.synth.content import Content, luminance
from kimi_vl.training.synth.pictures.pictures import APART, FINISHES, apart, draw_shape, is_held_out, make_shape
from kimi_vl.training.synth.pictures.shapes import COLOURS, SHAPES, Shape
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import Box

ROUNDISH = ("circle", "ring", "diamond")  # they touch on the line between their middles
SMALLEST = 13  # radius in pixels
LARGER = 1.6  # growing and shrinking must be plain to see
SIDES = (("left", "right"), ("top", "bottom"))
WAYS = (("to the left", "to the right"), ("up", "down"))
GESTURES = ("", "", "bounce", "touch", "cross", "blink")


class Actor:
    """A shape in a lane: its place along the lane, size, colour and presence in every frame, and what it does when."""

    def __init__(self, content: Content, kind: tuple[str, str], lane: Box, axis: int, count: int, *, bare: bool) -> None:
        """`bare` ones are called by their shape alone, and may change colour."""
        self.name, colour = kind
        self.axis, self.count, self.bare = axis, count, bare
        self.low, self.high = lane[axis], lane[axis + 2]
        self.across = (lane[1 - axis] + lane[3 - axis]) / 2
        largest = min(34.0, (lane[3 - axis] - lane[1 - axis]) * 0.42, (self.high - self.low) * 0.17)
        if largest < SMALLEST + 1:
            raise Overfull("a lane is too narrow")
        self.radius = content.rng.uniform(max(SMALLEST, 0.75 * largest), largest)
        self.shape: Shape = make_shape(content, kind, (0.0, 0.0, self.radius))
        reach = self.shape.outline[:, axis]
        self.behind, self.ahead = float(-reach.min()), float(reach.max())  # from its middle to its ends
        self.along = [content.rng.uniform(self.low + self.radius, self.high - self.radius)] * count
        self.scales, self.fills = [1.0] * count, [self.shape.fill] * count
        self.colours, self.there = [colour] * count, [True] * count
        self.called = f"the {self.name}" if bare else f"the {colour} {self.name}"
        self.done: dict[str, list[int]] = {}

    def does(self, frame: int, verb: str, rest: str, before: str, after: str) -> Event:
        """`verb` in its plain form, such as "appear"; `before` and `after` go on from "it"."""
        self.done.setdefault(verb, []).append(frame)
        return Event(frame, *said(self.called, verb, rest), f"{self.called} {before}", f"it {after}")

    def paint(self, canvas: Canvas, frame: int, finish: str, light: float) -> None:
        if not self.there[frame]:
            return
        x, y = (self.along[frame], self.across) if self.axis == 0 else (self.across, self.along[frame])
        scale = self.scales[frame]
        moved = [outline * np.float32(scale) + np.array((x, y), np.float32) for outline in self.shape.contours]
        draw_shape(canvas, self.shape._replace(fill=self.fills[frame], x=x, y=y, radius=self.radius * scale, contours=moved), finish, light)

    # What it may do at frame k, before the next event at `until` -------------------------------------------------------------

    def act(self, content: Content, k: int, until: int, colours: Sequence[str]) -> Event | None:
        """Something that fits what it has done so far; None where nothing does."""
        if "disappear" in self.done:
            return None
        options: list[Callable[[], Event | None]] = [lambda: self.move(content, k, until)] * 3
        if "blink" not in self.done:
            options += [lambda: self.disappear(k)] * 2
        if not self.done:
            options += [lambda: self.appear(k)] * 4
        if self.bare:
            options += [lambda: self.turn(content, k, colours)] * 4
        if not {"grow", "shrink"} & self.done.keys():
            options += [lambda: self.resize(content, k)] * 2
        if k + 1 < until and "appear" not in self.done:
            options += [lambda: self.blink(k)] * 2
        return content.one(options)()

    def appear(self, k: int) -> Event:
        self.there[:k] = [False] * k
        return self.does(k, "appear", "", "is not there", "is there")

    def disappear(self, k: int) -> Event:
        self.there[k:] = [False] * (self.count - k)
        return self.does(k, "disappear", "", "is there", "is gone")

    def blink(self, k: int) -> Event:
        self.there[k] = False
        return self.does(k, "blink", "", "is there", "is gone for one frame")

    def move(self, content: Content, k: int, until: int) -> Event | None:
        """To a place at least a third of the lane away, at once or in two steps."""
        start, far = self.along[k], (self.high - self.low) / 3
        goals = ((self.low + self.radius, start - far), (start + far, self.high - self.radius))
        open_ways = [way for way, (a, b) in enumerate(goals) if a <= b]
        if not open_ways:
            return None
        way = content.one(open_ways)
        goal = content.rng.uniform(*goals[way])
        self.along[k:] = [goal] * (self.count - k)
        if until - k >= 2 and content.chance(0.6):
            self.along[k] = (start + goal) / 2
        return self.does(k, "move", f" {WAYS[self.axis][way]}", "has not moved yet", "is in another place")

    def turn(self, content: Content, k: int, colours: Sequence[str]) -> Event | None:
        fresh = [c for c in colours if c not in self.colours and (content.split == "test" or not is_held_out(self.name, c))]
        if not fresh:
            return None
        old, new = self.colours[k], content.one(fresh)
        self.colours[k:], self.fills[k:] = [new] * (self.count - k), [COLOURS[new]] * (self.count - k)
        return self.does(k, "turn", f" {new}", f"is {old}", f"is {new}")

    def resize(self, content: Content, k: int) -> Event | None:
        if self.radius < SMALLEST * LARGER:
            return None
        if content.chance(0.5):
            self.scales[:k] = [1 / LARGER] * k
            return self.does(k, "grow", "", "is still small", "is larger")
        self.scales[k:] = [1 / LARGER] * (self.count - k)
        return self.does(k, "shrink", "", "is still large", "is smaller")

    def bounce(self, content: Content, frames: Sequence[int]) -> list[Event]:
        """Back and forth between the ends of its lane; it touches one at each of `frames`."""
        side = content.rng.randrange(2)
        ends = (self.low + self.behind, self.high - self.ahead)
        start = content.rng.uniform(0.4, 1.0)  # of the way to the other end
        stops = [ends[side] + start * (ends[1 - side] - ends[side])] + [ends[(side + n) % 2] for n in range(len(frames))]
        stops.append((stops[-1] + ends[(side + len(frames)) % 2]) / 2)
        self.along = np.interp(range(self.count), [0, *frames, self.count], stops).tolist()
        names = [SIDES[self.axis][(side + n) % 2] for n in range(len(frames))]
        return [
            self.does(frame, "bounce", f" off the {name} side", f"is on its way to the {name} side", "touches it")
            for frame, name in zip(frames, names, strict=True)
        ]

    def cross(self, content: Content, k: int, until: int) -> list[Event]:
        """From one end of the lane, which is the picture's edge, to the other: half there at k, gone at `until`."""
        way = content.rng.randrange(2)
        ends = (self.low + 0.2 * self.radius, self.high - 0.2 * self.radius)
        self.along = np.interp(range(self.count), [k, until - 1], [ends[way], ends[1 - way]]).tolist()
        self.there = [k <= frame < until for frame in range(self.count)]
        sides = SIDES[self.axis]
        return [
            self.does(k, "enter", f" from the {sides[way]}", "is not there", "is there"),
            self.does(until, "leave", f" on the {sides[1 - way]}", "is there", "is gone"),
        ]

    def touch(self, other: "Actor", k: int) -> Event:
        """They meet at frame k and go back."""
        meet = (self.low + self.high + self.behind - other.ahead) / 2
        for actor, end, contact in (
            (self, self.low + self.radius, meet - self.ahead),
            (other, self.high - other.radius, meet + other.behind),
        ):
            actor.along = np.interp(range(self.count), [max(0, k - 4), k, k + 4], [end, contact, end]).tolist()
            actor.done["touch"] = [k]
        pair = f"{self.called} and {other.called}"
        return Event(k, f"do {pair} touch", f"{pair} touch", f"{pair} are apart", "they touch")


def shapes(content: Content, area: Box, plan: Sequence[int], count: int, tones: tuple[Colour, ...], *, whole: bool) -> Part:
    """Shapes in `area` (pixels) over `count` frames, with an event at each frame of `plan`. Raises Overfull.

    `whole` says that the area is all of the picture; otherwise its upper or lower end is no edge that one sees.
    """
    axis = content.rng.randrange(2)
    colours = [name for name, colour in COLOURS.items() if all(apart(colour, tone) >= APART for tone in tones)]
    gesture, lanes = content.one(GESTURES), draw_lanes(content, area, axis)
    if not plan or len(lanes) < 2 or (gesture in ("bounce", "cross") and axis and not whole):
        gesture = ""
    left = list(plan)
    actors, events = perform(content, gesture, lanes, axis, colours, left, count)
    plain = [actor for actor in actors if not actor.done]
    for k in left:
        until = min([f for f in plan if f > k], default=count)
        for actor in content.rng.sample(plain, len(plain)):
            if event := actor.act(content, k, until, colours):
                events.append(event)
                break
    finish, light = str(FINISHES.pick(content.rng, content.split)), luminance(tones[0])

    def paint(canvas: Canvas, frame: int) -> None:
        for actor in actors:
            actor.paint(canvas, frame, finish, light)

    return Part(paint, events, tracks(actors), tallies(actors), unseen(content, actors, colours), gesture in ("", "blink"))


def draw_lanes(content: Content, area: Box, axis: int) -> list[Box]:
    """One to four lanes beside each other along `axis`, shuffled; seldom a single one."""
    low, high = area[1 - axis], area[3 - axis]
    most = max(1, min(4, (high - low) // 46))
    number = content.rng.randint(1 if content.chance(0.25) else min(2, most), most)
    edges = [low + (high - low) * n // number for n in range(number + 1)]
    lanes = [(area[0], a, area[2], b) if axis == 0 else (a, area[1], b, area[3]) for a, b in pairwise(edges)]
    content.rng.shuffle(lanes)
    return lanes


def perform(
    content: Content, gesture: str, lanes: list[Box], axis: int, colours: list[str], left: list[int], count: int
) -> tuple[list[Actor], list[Event]]:
    """The actors, and what those with a gesture do; its frames are taken from `left`. The last actor has no gesture."""
    kinds, alone = cast(content, len(lanes) + (gesture == "touch"), colours, ROUNDISH if gesture == "touch" else ())
    places = [lanes[0], *lanes] if gesture == "touch" else lanes
    actors = [
        Actor(content, kind, lane, axis, count, bare=kind[0] in alone and content.chance(0.6))
        for kind, lane in zip(kinds, places, strict=True)
    ]
    star, rng = actors[0], content.rng

    def taken(frames: list[int]) -> list[int]:
        for frame in frames:
            left.remove(frame)
        return frames

    inner = [frame for frame in left if frame < count - 1]
    if gesture == "touch" and inner:
        return actors, [star.touch(actors[1], taken([content.one(inner)])[0])]
    if gesture == "bounce" and inner:
        return actors, star.bounce(content, taken(sorted(rng.sample(inner, rng.randint(1, min(4, len(inner)))))))
    if gesture == "blink" and inner:
        return actors, [star.blink(frame) for frame in taken(sorted(rng.sample(inner, rng.randint(1, min(4, len(inner))))))]
    if gesture == "cross":
        pairs = [(a, b) for a in left for b in left if b - a >= 3]
        if pairs:
            return actors, star.cross(content, *taken(list(content.one(pairs))))
    if gesture:
        raise Overfull(f"no frames to {gesture}")
    return actors, []


def cast(content: Content, count: int, colours: list[str], first: tuple[str, ...]) -> tuple[list[tuple[str, str]], set[str]]:
    """`count` different kinds (shape, colour), the first two out of `first` where given, and the shapes that occur but once."""
    pairs = [(n, c) for n in SHAPES for c in colours if content.split == "test" or not is_held_out(n, c)]
    kinds: list[tuple[str, str]] = []
    unlike = content.chance(0.75)  # no shape twice
    for _ in range(40 * count):
        if len(kinds) == count:
            names = [name for name, _ in kinds]
            return kinds, {name for name in names if names.count(name) == 1}
        if not pairs:
            break
        kind = content.one(pairs)
        if kind in kinds or (unlike and kind[0] in [name for name, _ in kinds]) or (first and len(kinds) < 2 and kind[0] not in first):
            continue
        kinds.append(kind)
    raise Overfull("too few colours stand out from this ground")


def tracks(actors: Sequence[Actor]) -> list[Track]:
    count = actors[0].count
    numbers = tuple(str(sum(actor.there[k] for actor in actors)) for k in range(count))
    found = [Track("shapes_then", "", numbers, "count", "I count {}")]
    for actor in actors:
        if actor.bare:
            values = tuple(colour if there else None for colour, there in zip(actor.colours, actor.there, strict=True))
            track = Track("colour_then", actor.name, values, "field", f"the {actor.name} is {{}}", f"the {actor.name} is not there")
            found += [track] * (3 if "turn" in actor.done else 1)
    return found


def tallies(actors: Sequence[Actor]) -> list[Tally]:
    repeated = [(actor, verb) for actor in actors for verb in ("blink", "move", "bounce") if verb in actor.done]
    return [Tally(*said(actor.called, verb), tuple(actor.done[verb])) for actor, verb in repeated]


def unseen(content: Content, actors: Sequence[Actor], colours: list[str]) -> list[tuple[str, str]]:
    """What could have happened: to those that are there, and to a shape that is not."""
    strange = content.one([name for name in SHAPES if name not in [actor.name for actor in actors]])
    called = f"the {content.one(colours)} {strange}"
    found = [said(called, verb) for verb in ("appear", "disappear", "move")]
    for actor in actors:
        verbs = [verb for verb in ("blink", "grow", "shrink") if verb not in actor.done]
        if not {"disappear", "blink", "leave"} & actor.done.keys():
            verbs.append("disappear")
        found += [said(actor.called, verb) for verb in verbs]
        if actor.bare:
            found.append(said(actor.called, "turn", f" {content.one([c for c in COLOURS if c not in actor.colours])}"))
    return found


def said(called: str, verb: str, rest: str = "") -> tuple[str, str]:
    """The clause of a question and the statement: "does the star turn red", "the star turns red"."""
    return f"does {called} {verb}{rest}", f"{called} {verb}s{rest}"
