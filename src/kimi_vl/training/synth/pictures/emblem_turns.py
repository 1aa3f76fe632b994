"""What can be asked about a picture of icons: what they are, how many, what colour, where, and what is printed below them.

Absent things: how many there are is "0", whether there is one is "No."; every other question about them is refused.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pictures.shapes import article, plural
from kimi_vl.training.synth.pictures.turns import CLEAR, FEW, LARGER, MOSTS, SIDES
from kimi_vl.training.synth.places import box_at, point_at
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn

# What names end in that no letter puts into the plural: "cat icons" is always right, "dices" is not.
ABSENT = 0.3  # share of the things that are counted and not there, outside of split "test": nano found one of everything asked for
UNCOUNTED = tuple(
    "s y f h deer sheep cheese corn garlic bread milk broccoli sushi popcorn dice arrow knife mouse edit more music fire".split()
)


class Emblem(NamedTuple):
    """An icon in a picture: its name, the colour of a sign (else ""), its inked box and its tile's side (pixels), its caption."""

    name: str
    colour: str
    box: tuple[float, float, float, float]
    side: int
    caption: str

    @property
    def x(self) -> float:
        return (self.box[0] + self.box[2]) / 2

    @property
    def y(self) -> float:
        return (self.box[1] + self.box[3]) / 2


class Plate(NamedTuple):
    """Facts of a drawn picture: "things", "signs" or "flags", its longer side (pixels), its icons, all names of their kind,
    and its width and height."""

    kind: str
    side: int
    emblems: tuple[Emblem, ...]
    vocabulary: tuple[str, ...]
    size: tuple[int, int]


class EmblemTurns:
    """Draws turns about one picture; each maker returns None when the picture does not allow its question."""

    def __init__(self, content: Content, interview: Interview, plate: Plate) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.plate, self.emblems = interview, plate, plate.emblems
        self.names = [emblem.name for emblem in plate.emblems]
        self.flags = plate.kind == "flags"
        self.clear = CLEAR * plate.side

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the picture is poor."""
        makers = (
            *((self.what, 40 if len(self.emblems) == 1 else 22), (self.either, 14), (self.part, 14), (self.listed, 14)),
            *((self.place_named, 8), (self.count_all, 5), (self.count_some, 12), (self.exists, 8), (self.colour, 7)),
            *((self.side, 9), (self.is_side, 6), (self.most, 8), (self.neighbour, 6), (self.extreme, 4), (self.odd, 6)),
            *((self.box, 9), (self.point, 10), (self.boxes, 4), (self.caption, 14), (self.captioned, 7)),
            *((self.read, 3), (self.absent, 8), (self.interview.foreign, 1)),
        )
        return self.interview.draw(count, makers) or [self.interview.foreign()]

    # Referring -------------------------------------------------------------------------------------------------------

    def called(self, name: str) -> str:
        """In a sentence: the flags are called after their countries."""
        return f"flag of {name}" if self.flags else name

    def icon(self, name: str) -> str:
        """Where something is to be found: with or without the word icon."""
        called = self.called(name)
        return called if self.flags or self.rng.random() < 0.7 else f"{called} icon"

    def several(self, name: str) -> str:
        if self.flags:
            return f"flags of {name}"
        return f"{name} icons" if name.endswith(UNCOUNTED) or self.rng.random() < 0.3 else plural(name)

    def single(self) -> Emblem | None:
        """An icon of which there is one."""
        emblem = self.content.one(self.emblems)
        return emblem if self.names.count(emblem.name) == 1 else None

    def pair(self) -> tuple[Emblem, Emblem] | None:
        a, b = self.single(), self.single()
        return (a, b) if a and b and a is not b else None

    def missing(self) -> str | None:
        name = self.content.one(self.plate.vocabulary)
        return None if name in self.names else name

    def place(self, emblem: Emblem) -> int:
        return next(k for k, other in enumerate(self.emblems) if other is emblem)

    def said(self, emblem: Emblem) -> str:
        return f"{emblem.colour} {self.called(emblem.name)}".strip()

    def ordered(self) -> list[Emblem]:
        """As one reads: icons at nearly the same height are a row."""
        rows: list[list[Emblem]] = []
        for emblem in sorted(self.emblems, key=lambda e: e.y):
            if rows and emblem.y - rows[-1][0].y < 0.5 * min(emblem.side, rows[-1][0].side):
                rows[-1].append(emblem)
            else:
                rows.append([emblem])
        return [emblem for row in rows for emblem in sorted(row, key=lambda e: e.x)]

    # Names -----------------------------------------------------------------------------------------------------------

    def what(self) -> Turn:
        """The only icon, or the one at a place."""
        emblem = self.content.one(self.emblems)
        thought = f"It looks like {article(self.called(emblem.name)) if not self.flags else 'the ' + self.called(emblem.name)}."
        if len(self.emblems) == 1:
            return self.interview.glance("which_flag" if self.flags else "what_icon", emblem.name, thought, "name")
        where = self.content.one((box_at, point_at))(self.place(emblem))
        return self.interview.glance("which_flag_at" if self.flags else "what_icon_at", emblem.name, thought, "name", where=where)

    def either(self) -> Turn | None:
        """Which of two names is right, for the only icon or the one at a place."""
        emblem, other = self.content.one(self.emblems), self.missing()
        if other is None:
            return None
        a, b = self.rng.sample([emblem.name, other], 2)
        thought = f"It looks like {emblem.name}."
        if len(self.emblems) == 1:
            return self.interview.glance("either", emblem.name, thought, "name", a=a, b=b)
        where = self.content.one((box_at, point_at))(self.place(emblem))
        return self.interview.glance("either_at", emblem.name, thought, "name", a=a, b=b, where=where)

    def part(self) -> Turn | None:
        """The only icon in a quarter of the picture, when all keep clear of the lines between the quarters."""
        wide, high = self.plate.size
        if len(self.emblems) < 2 or any(abs(e.x - wide / 2) < 0.05 * wide or abs(e.y - high / 2) < 0.05 * high for e in self.emblems):
            return None
        parts = [f"{'top' if e.y < high / 2 else 'bottom'} {'left' if e.x < wide / 2 else 'right'}" for e in self.emblems]
        lonely = [k for k, part in enumerate(parts) if parts.count(part) == 1]
        if not lonely:
            return None
        k = self.content.one(lonely)
        key, thought = "flag_in_part" if self.flags else "icon_in_part", f"There is one, the {self.said(self.emblems[k])}."
        return self.interview.glance(key, self.emblems[k].name, thought, "name", part=parts[k])

    def place_named(self) -> Turn | None:
        """The only one of a colour."""
        if self.plate.kind != "signs":
            return None
        emblem = self.content.one(self.emblems)
        if not emblem.colour or [e.colour for e in self.emblems].count(emblem.colour) != 1:
            return None
        return self.interview.glance("coloured_icon", emblem.name, f"It is the {self.said(emblem)}.", "name", colour=emblem.colour)

    def listed(self) -> Turn | None:
        if len(self.emblems) < 2:
            return None
        names = [emblem.name for emblem in self.ordered()]
        key = "list_flags" if self.flags else "list_icons"
        return self.interview.glance(key, ", ".join(names), f"I see {len(names)}.", "name")

    def odd(self) -> Turn | None:
        """All but one are the same."""
        lonely = [name for name in self.names if self.names.count(name) == 1]
        if len(self.names) < 3 or len(set(self.names)) != 2 or len(lonely) != 1:
            return None
        usual = next(name for name in self.names if name != lonely[0])
        return self.interview.glance("odd_icon", lonely[0], f"The others: {usual}.", "name")

    # Counting --------------------------------------------------------------------------------------------------------

    def count_all(self) -> Turn:
        return self.counted("flag_count" if self.flags else "icon_count", self.ordered(), "")

    def count_some(self) -> Turn:
        name = self.content.one(self.names)
        if self.rng.random() < (0.15 if self.content.split == "test" else ABSENT):
            name = self.missing() or name
        found = [emblem for emblem in self.ordered() if emblem.name == name]
        return self.counted("shape_count_some", found, self.called(name), things=self.several(name))

    def counted(self, key: str, found: Sequence[Emblem], words: str, /, **slots: str) -> Turn:
        """Listed with their places: without them a row of equal icons has no end."""
        listed = "\n".join(f"{k}. {self.said(e)} {point_at(self.place(e))}" for k, e in enumerate(found, 1)) or f"I see no {words}."
        return self.interview.work(key, str(len(found)), listed, "count", trivial=True, easy=False, **slots)

    def exists(self) -> Turn | None:
        name = self.content.one(self.names) if self.content.chance(0.5) else self.missing()
        if name is None:
            return None
        found = self.names.count(name)
        thing = f"a {self.called(name)}" if self.flags else article(self.icon(name))
        thought = f"I see {found}." if found else f"I see no {self.called(name)}."
        return self.interview.glance("shape_exists", "Yes." if found else "No.", thought, "find", thing=thing)

    def colour(self) -> Turn | None:
        emblem = self.single()
        if not emblem or not emblem.colour:
            return None
        return self.interview.glance("shape_colour", emblem.colour, f"I see a {self.said(emblem)}.", "find", thing=self.icon(emblem.name))

    # Relations and sizes ---------------------------------------------------------------------------------------------

    def relation(self) -> tuple[Emblem, Emblem, int, bool] | None:
        """Two icons, an axis, and whether the first comes first on it; clearly so."""
        if not (pair := self.pair()):
            return None
        a, b = pair
        axis = self.rng.randrange(2)
        distance = (b.x - a.x, b.y - a.y)[axis]
        return (a, b, axis, distance > 0) if abs(distance) > self.clear else None

    def side(self) -> Turn | None:
        if not (found := self.relation()):
            return None
        a, b, axis, first = found
        answer, words = SIDES[axis][not first], {"a": self.icon(a.name), "b": self.icon(b.name)}
        thought = f"The {words['a']} is {answer} the {words['b']}."
        return self.interview.glance("beside" if axis == 0 else "stacked", answer, thought, "relation", **words)

    def is_side(self) -> Turn | None:
        if not (found := self.relation()):
            return None
        a, b, axis, first = found
        asked, true = self.content.one(SIDES[axis]), SIDES[axis][not first]
        words = {"a": self.icon(a.name), "b": self.icon(b.name)}
        thought = f"The {words['a']} is {true} the {words['b']}."
        return self.interview.glance("is_side", "Yes." if asked == true else "No.", thought, "relation", side=asked, **words)

    def most(self) -> Turn | None:
        word = self.content.one(list(MOSTS))
        axis, sign = MOSTS[word]
        ranked = sorted(self.emblems, key=lambda e: (e.x, e.y)[axis] * sign)
        if len(ranked) < 2 or abs((ranked[1].x - ranked[0].x, ranked[1].y - ranked[0].y)[axis]) < self.clear:
            return None
        key = "outermost_flag" if self.flags else "outermost_icon"
        return self.interview.glance(key, ranked[0].name, f"After it comes {ranked[1].name}.", "name", most=word)

    def neighbour(self) -> Turn | None:
        """The next one in the same row."""
        if not (emblem := self.single()):
            return None
        right = self.content.chance(0.5)
        row = [e for e in self.emblems if e is not emblem and abs(e.y - emblem.y) < 0.3 * emblem.side and (e.x > emblem.x) == right]
        near = [e for e in self.emblems if 0.3 * emblem.side <= abs(e.y - emblem.y) < 0.9 * emblem.side]
        if not row or near:
            return None
        found = min(row, key=lambda e: abs(e.x - emblem.x))
        where = f"{'right' if right else 'left'} of the {self.icon(emblem.name)}"
        key = "beside_flag" if self.flags else "beside_icon"
        return self.interview.glance(key, found.name, f"Next to it is {found.name}.", "name", where=where)

    def extreme(self) -> Turn | None:
        largest = self.content.chance(0.5)
        ranked = sorted(self.emblems, key=lambda e: e.side, reverse=largest)
        if len(ranked) < 2 or max(ranked[0].side, ranked[1].side) < LARGER * min(ranked[0].side, ranked[1].side):
            return None
        key = "largest_icon" if largest else "smallest_icon"
        return self.interview.glance(key, ranked[0].name, f"The next in size is {ranked[1].name}.", "name")

    # Places ------------------------------------------------------------------------------------------------------------

    def box(self) -> Turn | None:
        if not (emblem := self.single()):
            return None
        thought = f"There is one {self.called(emblem.name)}."
        return self.interview.glance("box_of", box_at(self.place(emblem)), thought, "box", thing=self.icon(emblem.name))

    def point(self) -> Turn | None:
        if not (emblem := self.single()):
            return None
        thought = f"There is one {self.called(emblem.name)}."
        return self.interview.glance("point_of", point_at(self.place(emblem)), thought, "point", thing=self.icon(emblem.name))

    def boxes(self) -> Turn | None:
        """Several of a kind, in reading order."""
        name = self.content.one(self.names)
        found = [emblem for emblem in self.ordered() if emblem.name == name]
        if not 2 <= len(found) <= FEW:
            return None
        answer = "\n".join(box_at(self.place(emblem)) for emblem in found)
        return self.interview.glance("boxes_of_icons", answer, f"I see {len(found)}.", "box", things=self.several(name))

    # Text --------------------------------------------------------------------------------------------------------------

    def caption(self) -> Turn | None:
        if not (emblem := self.single()):
            return None
        thing = self.icon(emblem.name)
        if not emblem.caption:
            return (
                self.interview.refuse("caption_of", "There is nothing printed below it.", thing=thing) if self.rng.random() < 0.15 else None
            )
        return self.interview.glance("caption_of", emblem.caption, f"Below the {thing} it says {emblem.caption}.", "field", thing=thing)

    def captioned(self) -> Turn | None:
        emblem = self.content.one(self.emblems)
        if not emblem.caption or emblem.caption == emblem.name:
            return None
        thought = f"{emblem.caption} is below the {self.called(emblem.name)}."
        return self.interview.glance("icon_above", emblem.name, thought, "name", label=emblem.caption)

    def read(self) -> Turn:
        if self.interview.text:
            return self.interview.read(self.interview.text)
        return self.interview.refuse("read", "There is no text in this image.")

    def absent(self) -> Turn | None:
        name = self.missing()
        if name is None:
            return None
        key = self.content.one(("box_of", "point_of", "caption_of", "shape_colour"))
        if key == "shape_colour" and self.plate.kind != "signs":
            return None
        return self.interview.refuse(key, f"I see no {self.called(name)}.", thing=self.icon(name))
