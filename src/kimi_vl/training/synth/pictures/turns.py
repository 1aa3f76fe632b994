"""What can be asked about a picture of shapes: counts, colours, relations, sizes, labels and places.

Absent things: how many there are is "0", whether there is one is "No."; every other question about them is refused.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pictures.shapes import COLOURS, SHAPES, Shape, article, plural
from kimi_vl.training.synth.places import box_at, point_at
from kimi_vl.training.synth.questions import Interview, Maker
from kimi_vl.training.synth.scene import Turn

FEW = 4  # things whose places are all asked for at once
LARGER = 1.3  # least ratio of sizes that are compared
CLEAR = 0.1  # least distance of middles, relative to the longer side, on an axis that is asked about; tilting shifts less
MOSTS = {"leftmost": (0, 1), "rightmost": (0, -1), "topmost": (1, 1), "bottommost": (1, -1)}
SIDES = (("left of", "right of"), ("above", "below"))


class Picture(NamedTuple):
    """Facts of a drawn picture: its longer side (pixels), shapes, labels by shape, perhaps a title; how the first two shapes
    are a `pair` ("inside": the second in the first, "overlapping", "touching", "apart"), in the few pictures that have one."""

    side: int
    shapes: tuple[Shape, ...]
    labels: dict[int, str]
    title: str
    pair: str = ""


class PictureTurns:
    """Draws turns about one picture; each maker returns None when the picture does not allow its question."""

    def __init__(self, content: Content, interview: Interview, picture: Picture) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.picture = interview, picture
        self.shapes = picture.shapes
        self.across = sorted(self.shapes, key=lambda shape: shape.x)
        self.clear = CLEAR * picture.side

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the picture is poor."""
        looks = ((self.colour_of, 8), (self.shape_of, 7), (self.exists, 8), (self.describe, 6), (self.absent, 8), (self.filling, 9))
        makers: Sequence[tuple[Maker, int]]
        if not self.shapes:
            makers = ((self.count_all, 12), (self.count_some, 8), (self.exists, 8), (self.absent, 6), (self.read, 3), (self.title, 3))
        elif self.picture.pair:  # counts and boxes of things that cover each other are left alone
            makers = ((self.paired, 40), *looks)
        else:
            makers = (
                *((self.count_all, 18), (self.count_some, 24), (self.count_kinds, 6), (self.side, 12), (self.is_side, 10), (self.odd, 6)),
                *((self.most, 9), (self.extreme, 8), (self.larger, 8), (self.nearest, 9), (self.between, 8), (self.ordered, 7)),
                *((self.nth, 7), (self.box, 18), (self.point, 16), (self.boxes, 6), (self.all_boxes, 7), (self.at_place, 7)),
                *((self.direction, 6), (self.label_in, 14), (self.labelled, 8), (self.read, 6), (self.title, 3), *looks),
                (self.interview.foreign, 2),
            )
        return self.interview.draw(count, makers) or [self.interview.foreign()]

    # Referring -------------------------------------------------------------------------------------------------------

    def named(self, shape: Shape) -> str | None:
        """Words that only this shape fits: "red star", "star" or "red shape"."""
        options = [shape.called, shape.called] if self.alike(shape.called) == 1 else []
        options += [shape.name] if self.alike(shape.name) == 1 else []
        options += [f"{shape.colour} shape"] if self.alike(f"{shape.colour} shape") == 1 else []
        return self.content.one(options) if options else None

    def fitting(self, words: str) -> list[Shape]:
        """Shapes that "red star", "star", "red shape" or "shape" fits, from left to right."""
        asked = set(words.split(" ")) - {"shape"}
        return [shape for shape in self.across if asked <= {shape.name, shape.colour}]

    def alike(self, words: str) -> int:
        return len(self.fitting(words))

    def one(self) -> tuple[Shape, str] | None:
        """A shape with words for it."""
        shape = self.content.one(self.shapes)
        words = self.named(shape)
        return (shape, words) if words else None

    def two(self) -> tuple[Shape, str, Shape, str] | None:
        first, second = self.one(), self.one()
        if first is None or second is None or first[0] is second[0]:
            return None
        return (*first, *second)

    def missing(self) -> str | None:
        """Words for something that is not there, though its colour or its shape may be."""
        kind = self.rng.randrange(3)
        names = [s.name for s in self.shapes] if kind == 0 and self.shapes else SHAPES
        colours = [s.colour for s in self.shapes] if kind == 1 and self.shapes else tuple(COLOURS)
        words = f"{self.content.one(colours)} {self.content.one(names)}" if self.rng.random() < 0.8 else self.content.one(SHAPES)
        return None if self.alike(words) else words

    def place(self, shape: Shape) -> int:
        return next(k for k, other in enumerate(self.shapes) if other is shape)

    # Counting --------------------------------------------------------------------------------------------------------

    def count_all(self) -> Turn:
        return self.counted("shape_count", self.across, "shape")

    def count_some(self) -> Turn | None:
        words = self.missing() if not self.shapes or self.rng.random() < 0.15 else None
        if words is None:
            if not self.shapes:
                return None
            shape = self.content.one(self.shapes)
            words = self.content.one((shape.name, shape.name, f"{shape.colour} shape", f"{shape.colour} shape", shape.called))
        return self.counted("shape_count_some", self.fitting(words), words, things=plural(words))

    def counted(self, key: str, found: Sequence[Shape], words: str, /, **slots: str) -> Turn:
        """Listed with their places, from left to right: at a glance nano takes three for one or two."""
        listed = "\n".join(f"{k}. {s.called} {point_at(self.place(s))}" for k, s in enumerate(found, 1)) or f"I see no {words}."
        return self.interview.work(key, str(len(found)), listed, "count", trivial=True, easy=False, **slots)

    def count_kinds(self) -> Turn:
        coloured = self.content.chance(0.6)
        kinds, lines = dict[str, int](), list[str]()
        for shape in self.across:  # one after another, with its place: of kinds alone, some were forgotten and some came twice
            kind = shape.colour if coloured else shape.name
            new = "" if kind in kinds else f"{len(kinds) + 1}. "
            kinds.setdefault(kind, len(kinds))
            lines.append(f"{new}{kind} {point_at(self.place(shape))}")
        listed = "\n".join(lines)
        return self.interview.work("colour_count" if coloured else "kind_count", str(len(kinds)), listed, "count", trivial=True)

    def exists(self) -> Turn | None:
        words = self.content.one(self.shapes).called if self.shapes and self.content.chance(0.5) else self.missing()
        if words is None:
            return None
        found = self.alike(words)
        thought = f"I see {found} of them." if found else f"I see no {words}."
        return self.interview.glance("shape_exists", "Yes." if found else "No.", thought, "find", thing=article(words))

    # Looks -----------------------------------------------------------------------------------------------------------

    def colour_of(self) -> Turn | None:
        shape = self.content.one(self.shapes)
        if self.alike(shape.name) != 1:
            return None
        return self.interview.glance("shape_colour", shape.colour, f"I see {article(shape.called)}.", "find", thing=shape.name)

    def shape_of(self) -> Turn | None:
        shape = self.content.one(self.shapes)
        if self.alike(f"{shape.colour} shape") != 1:
            return None
        return self.interview.glance("shape_name", shape.name, f"I see {article(shape.called)}.", "find", colour=shape.colour)

    def direction(self) -> Turn | None:
        arrows = [s for s in self.shapes if s.direction and self.alike(s.called) == 1]
        if not arrows:
            return None
        arrow = self.content.one(arrows)
        words = "arrow" if self.alike("arrow") == 1 else arrow.called
        return self.interview.glance("arrow_direction", arrow.direction, f"The tip of it is {arrow.direction}.", "relation", thing=words)

    def odd(self) -> Turn | None:
        """All but one have the same colour, or the same shape."""
        if len(self.shapes) < 3:
            return None
        for trait in (lambda s: s.called, lambda s: s.colour, lambda s: s.name):
            kinds = [trait(shape) for shape in self.across]
            lonely = [kind for kind in kinds if kinds.count(kind) == 1]
            if len(set(kinds)) == 2 and len(lonely) == 1:
                shape = self.across[kinds.index(lonely[0])]
                usual = next(kind for kind in kinds if kind != lonely[0])
                return self.interview.glance("odd_one_out", shape.called, f"The others: {usual}.", "find")
        return None

    def filling(self) -> Turn | None:
        """How a shape is filled, or which one is filled so."""
        patterns = [shape.pattern for shape in self.shapes]
        if set(patterns) <= {"solid"}:
            return None
        lonely = [shape for shape in self.shapes if patterns.count(shape.pattern) == 1 and shape.pattern != "solid"]
        if lonely and self.content.chance(0.5):
            shape = self.content.one(lonely)
            return self.interview.glance("filled_so", shape.called, f"One is {shape.pattern}.", "find", pattern=shape.pattern)
        if not (found := self.one()):
            return None
        shape, words = found
        return self.interview.glance("filling", shape.pattern, f"The {words} is {shape.pattern}.", "find", thing=words)

    def describe(self) -> Turn:
        """One sentence, from left to right."""
        n = len(self.shapes)
        said = [article(shape.called) for shape in self.across]
        listed = said[0] if n == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
        start = "There is one shape" if n == 1 else f"There are {n} shapes from left to right"
        return self.interview.glance("describe_shapes", f"{start}: {listed}.", f"I count {n}.", "other")

    # Sizes and relations -----------------------------------------------------------------------------------------------

    def extreme(self) -> Turn | None:
        largest = self.content.chance(0.5)
        ranked = sorted(self.shapes, key=lambda s: s.size, reverse=largest)
        if len(ranked) < 2 or max(ranked[0].size, ranked[1].size) < LARGER * min(ranked[0].size, ranked[1].size):
            return None
        thought = f"The {ranked[0].called} is {'larger' if largest else 'smaller'} than the {ranked[1].called}."
        return self.interview.glance("largest" if largest else "smallest", ranked[0].called, thought, "relation")

    def larger(self) -> Turn | None:
        if not (pair := self.two()):
            return None
        a, said_a, b, said_b = pair
        if max(a.size, b.size) < LARGER * min(a.size, b.size):
            return None
        more = self.content.chance(0.5)
        answer = said_a if (a.size > b.size) == more else said_b
        thought = f"The {said_a if a.size > b.size else said_b} is larger."
        return self.interview.glance("larger" if more else "smaller", answer, thought, "relation", a=said_a, b=said_b)

    def relation(self) -> tuple[str, str, int, bool] | None:
        """Words for two shapes, an axis, and whether the first comes first on it; clearly so."""
        if not (pair := self.two()):
            return None
        a, said_a, b, said_b = pair
        axis = self.rng.randrange(2)
        distance = (b.x - a.x, b.y - a.y)[axis]
        return (said_a, said_b, axis, distance > 0) if abs(distance) > self.clear else None

    def side(self) -> Turn | None:
        if not (found := self.relation()):
            return None
        a, b, axis, first = found
        answer = SIDES[axis][not first]
        return self.interview.glance("beside" if axis == 0 else "stacked", answer, f"The {a} is {answer} the {b}.", "relation", a=a, b=b)

    def is_side(self) -> Turn | None:
        if not (found := self.relation()):
            return None
        a, b, axis, first = found
        asked = self.rng.randrange(2)
        true = SIDES[axis][not first]
        answer = "Yes." if SIDES[axis][asked] == true else "No."
        return self.interview.glance("is_side", answer, f"The {a} is {true} the {b}.", "relation", a=a, b=b, side=SIDES[axis][asked])

    def most(self) -> Turn | None:
        word = self.content.one(list(MOSTS))
        axis, sign = MOSTS[word]
        ranked = sorted(self.shapes, key=lambda s: (s.x, s.y)[axis] * sign)
        if len(ranked) < 2 or abs((ranked[1].x - ranked[0].x, ranked[1].y - ranked[0].y)[axis]) < self.clear:
            return None
        thought = f"After the {ranked[0].called} comes the {ranked[1].called}."
        return self.interview.glance("outermost", ranked[0].called, thought, "relation", most=word)

    def nearest(self) -> Turn | None:
        """The closest or the farthest shape from another, by middles and by edges alike."""
        if len(self.shapes) < 3 or not (found := self.one()):
            return None
        shape, words = found
        near = self.content.chance(0.6)
        others = [s for s in self.shapes if s is not shape]
        ranked = sorted(others, key=lambda s: hypot(s.x - shape.x, s.y - shape.y), reverse=not near)
        first, second = (hypot(s.x - shape.x, s.y - shape.y) for s in ranked[:2])
        inner, outer = (first, second) if near else (second, first)
        if outer < 1.25 * inner or outer - inner < 0.7 * self.clear or (outer - inner) < abs(ranked[0].radius - ranked[1].radius):
            return None
        thought = f"The {ranked[0].called} is {'closer' if near else 'farther'} than the {ranked[1].called}."
        return self.interview.glance("nearest" if near else "farthest", ranked[0].called, thought, "relation", thing=words)

    def between(self) -> Turn | None:
        """The only shape near the line between two others."""
        if len(self.shapes) < 3 or not (pair := self.two()):
            return None
        a, said_a, b, said_b = pair
        dx, dy = b.x - a.x, b.y - a.y
        length = hypot(dx, dy)
        found = []
        for s in self.shapes:
            along = ((s.x - a.x) * dx + (s.y - a.y) * dy) / length**2
            off = abs((s.x - a.x) * dy - (s.y - a.y) * dx) / length
            if s is not a and s is not b and -0.1 < along < 1.1 and off < 0.35 * length:
                found.append((s, 0.2 < along < 0.8 and off < 0.12 * length))
        if len(found) != 1 or not found[0][1]:
            return None
        thought = f"On the way from the {said_a} to the {said_b} lies the {found[0][0].called}."
        return self.interview.glance("between", found[0][0].called, thought, "relation", a=said_a, b=said_b)

    def in_order(self, axis: int) -> list[Shape] | None:
        """All shapes along an axis, where each is clearly before the next."""
        ranked = sorted(self.shapes, key=lambda s: (s.x, s.y)[axis])
        at = [(s.x, s.y)[axis] for s in ranked]
        return ranked if len(ranked) > 1 and all(q - p > 0.6 * self.clear for p, q in pairwise(at)) else None

    def ordered(self) -> Turn | None:
        axis, forward = self.rng.randrange(2), self.content.chance(0.7)
        if (ranked := self.in_order(axis)) is None:
            return None
        ranked = ranked if forward else ranked[::-1]
        way = (("from left to right", "from right to left"), ("from top to bottom", "from bottom to top"))[axis][not forward]
        answer = ", ".join(s.called for s in ranked)
        return self.interview.glance("ordered", answer, f"I count {len(ranked)}.", "relation", way=way)

    def nth(self) -> Turn | None:
        axis, k, forward = self.rng.randrange(2), self.rng.randint(1, 3), self.content.chance(0.6)
        ranked = self.in_order(axis)
        if ranked is None or k >= len(ranked):
            return None
        ranked = ranked if forward else ranked[::-1]
        where = f"{('second', 'third', 'fourth')[k - 1]} from the {(('left', 'right'), ('top', 'bottom'))[axis][not forward]}"
        thought = ", ".join(s.called for s in ranked[: k + 1])
        return self.interview.glance("nth", ranked[k].called, thought, "relation", where=where)

    def paired(self) -> Turn | None:
        """Whether the first two touch, overlap, or one holds the other; as often yes as no."""
        first, second = self.shapes[:2]
        truth, (a, b) = self.picture.pair, (first.called, second.called)
        asked = self.content.one(("inside", "overlapping", "touching"))
        if self.content.chance(0.5) and truth != "apart":
            asked = truth
        if asked == "touching" and truth in ("overlapping", "inside"):  # what overlaps touches as well
            return None
        if asked == "overlapping" and truth == "inside":
            return None
        small, large = (b, a) if asked == "inside" and not (truth == "inside" and self.content.chance(0.2)) else (a, b)
        yes = truth == asked and (asked != "inside" or small == b)
        said = {"inside": f"The {b} is inside the {a}.", "overlapping": "They overlap.", "touching": "They just touch."}
        thought = said.get(truth, "There is a gap between them.")
        return self.interview.glance(f"is_{asked}", "Yes." if yes else "No.", thought, "relation", a=small, b=large)

    # Places ------------------------------------------------------------------------------------------------------------

    def box(self) -> Turn | None:
        if not (found := self.one()):
            return None
        shape, words = found
        return self.interview.glance("box_of", box_at(self.place(shape)), f"There is one {words}.", "box", thing=words)

    def point(self) -> Turn | None:
        if not (found := self.one()):
            return None
        shape, words = found
        return self.interview.glance("point_of", point_at(self.place(shape)), f"There is one {words}.", "point", thing=words)

    def boxes(self) -> Turn | None:
        """Several of a kind, from left to right."""
        shape = self.content.one(self.shapes)
        words = self.content.one((shape.name, f"{shape.colour} shape"))
        found = self.fitting(words)
        if not 2 <= len(found) <= FEW:
            return None
        answer = "\n".join(box_at(self.place(s)) for s in found)
        thought = "\n".join(f"{k}. {s.called}" for k, s in enumerate(found, 1))
        return self.interview.glance("boxes_of", answer, thought, "box", things=plural(words))

    def all_boxes(self) -> Turn | None:
        """Every shape with its box, from left to right."""
        if not 2 <= len(self.shapes) <= 6:
            return None
        answer = "\n".join(f"{s.called}: {box_at(self.place(s))}" for s in self.across)
        return self.interview.glance("all_boxes", answer, f"I count {len(self.across)}.", "box")

    def at_place(self) -> Turn:
        shape = self.content.one(self.shapes)
        where = self.content.one((box_at, point_at))(self.place(shape))
        return self.interview.glance("what_at", shape.called, f"The {shape.called} is there.", "find", where=where)

    # Text --------------------------------------------------------------------------------------------------------------

    def read(self) -> Turn:
        if self.interview.text:
            return self.interview.read(self.interview.text)
        return self.interview.refuse("read", "There is no text in this image.")

    def title(self) -> Turn | None:
        return self.interview.lookup("title", self.picture.title, self.picture.title) if self.picture.title else None

    def label_in(self) -> Turn | None:
        if not self.picture.labels or not (found := self.one()):
            return None
        shape, words = found
        label = self.picture.labels.get(self.place(shape))
        if label is None:
            return self.interview.refuse("label_in", f"There is nothing in the {words}.", thing=words)
        texts = self.picture.labels.values()
        single = all(len(text) == 1 for text in texts) and self.content.chance(0.6)
        key = "label_in" if not single else "letter_in" if label.isalpha() else "digit_in"
        return self.interview.glance(key, label, f"The {words} says {label}.", "field", thing=words)

    def labelled(self) -> Turn | None:
        if not self.picture.labels:
            return None
        place = self.content.one(list(self.picture.labels))
        shape, label = self.shapes[place], self.picture.labels[place]
        if self.content.chance(0.4):
            return self.interview.glance("box_labelled", box_at(place), f"It is the {shape.called}.", "box", label=label)
        return self.interview.glance("labelled", shape.called, f"The {shape.called} says {label}.", "find", label=label)

    def absent(self) -> Turn | None:
        words = self.missing()
        if words is None:
            return None
        key = self.content.one(("box_of", "point_of", "shape_colour" if " " not in words else "box_of", "label_in"))
        return self.interview.refuse(key, f"I see no {words}.", thing=words)
