"""What can be asked about a web page: all that can be asked about a window, and what its texts say.

A fact is a text that answers "what is the LABEL (of THING)?"; questions whose answer is not on the page, or cut off, are refused.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.places import box_at, point_at
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.screens.turns import ScreenTurns, Shown
from kimi_vl.training.synth.screens.widgets import Widget

WIDGETS = ("button", "link", "icon", "tab", "entry", "field", "check box", "radio button", "drop-down", "switch", "slider", "row")
SOUGHT = (
    "phone number",
    "order number",
    "total",
    "author",
    "seat",
    "email",
    "invoice number",
    "humidity",
    "customer",
    "departure",
    "company",
)
ORDINALS = ("first", "second", "third", "fourth", "fifth")


class Item(NamedTuple):
    """An element of a page: role, label and text, its box (pixels), what it is about (`thing`), and all else that is known."""

    role: str
    label: str
    text: str
    box: tuple[float, float, float, float]
    thing: str
    known: dict[str, Any]


class View(NamedTuple):
    """Facts of a page or a part of it: items, transcribed rows, each row's middle (y, pixels), names of icons."""

    items: tuple[Item, ...]
    rows: tuple[str, ...]
    heights: tuple[float, ...]
    icons: tuple[str, ...]


class WebTurns(ScreenTurns):
    """Draws turns about one page. Items are places by their number."""

    def __init__(self, content: Content, interview: Interview, view: View) -> None:
        self.view = view
        widgets = tuple(as_widget(item, row_of(item, view.items)) for item in view.items)
        title = next((item.text for item in view.items if item.role == "title"), "")
        super().__init__(content, interview, Shown(widgets, title, "", "", view.icons))
        self.flat = " ".join(interview.text.split())
        self.facts = [item for item in view.items if item.role == "fact" and item.text and self.has(item.text)]

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the page is poor."""
        makers = (
            *((self.click, 26), (self.goal, 18), (self.intent, 5), (self.neighbour, 9), (self.ordinal, 8), (self.of_row, 9)),
            *((self.box, 13), (self.at_place, 5), (self.is_on, 12), (self.is_chosen, 6), (self.chosen, 8), (self.field, 7)),
            *((self.enabled, 2), (self.buttons, 3), (self.checked, 4), (self.title, 4), (self.level, 3), (self.count, 3)),
            *((self.fact, 45), (self.which, 9), (self.fact_box, 9), (self.text_at, 8), (self.row, 7), (self.paragraph, 5)),
            *((self.read, 3), (self.absent, 8), (self.unknown, 8), (self.interview.foreign, 2)),
        )
        return self.interview.draw(count, makers) or [self.interview.foreign()]

    def has(self, text: str) -> bool:
        """Whether all of a text is to be seen."""
        return text in self.flat

    def place(self, item: Item) -> int:
        return next(k for k, other in enumerate(self.view.items) if other is item)

    # Facts -------------------------------------------------------------------------------------------------------------

    def known(self) -> Item | None:
        """A fact that no other has the name of."""
        if not self.facts:
            return None
        item = self.content.one(self.facts)
        same = [
            other
            for other in self.facts
            if (other.label.casefold(), other.thing.casefold()) == (item.label.casefold(), item.thing.casefold())
        ]
        return item if len(same) == 1 else None

    def about(self, item: Item) -> str:
        return f"{item.label} of {item.thing}" if item.thing else item.label

    def fact(self) -> Turn | None:
        if not (item := self.known()):
            return None
        slots = {"label": item.label.lower() if item.label.istitle() else item.label, "thing": item.thing}
        key = "web_price" if item.label == "price" else "web_fact_of" if item.thing else "web_fact"
        return self.interview.glance(key, item.text, f"{self.about(item)}: {item.text}", item.known.get("task", "field"), **slots)

    def which(self) -> Turn | None:
        """The thing that a value belongs to."""
        if not (item := self.known()) or not item.thing or not self.has(item.thing):
            return None
        if sum(other.label == item.label and other.text == item.text for other in self.facts) != 1:
            return None
        key = "web_which_costs" if item.label == "price" else "web_which"
        return self.interview.glance(key, item.thing, f"{item.thing}: {item.text}", "find", label=item.label.lower(), value=item.text)

    def fact_box(self) -> Turn | None:
        if not (item := self.known()):
            return None
        key, put = self.content.one((("box_of", box_at), ("point_of", point_at)))
        task = "box" if key == "box_of" else "point"
        return self.interview.glance(key, put(self.place(item)), f"It says {item.text}.", task, thing=self.about(item))

    # Places and texts --------------------------------------------------------------------------------------------------

    def goal(self) -> Turn | None:
        """Where to click to reach something."""
        items = [item for item in self.view.items if item.known.get("goal") and item.known.get("enabled", True)]
        if not items:
            return None
        item = self.content.one(items)
        if sum(other.known["goal"] == item.known["goal"] for other in items) != 1:
            return None
        thought = f"The {item.label} {item.role} is there."
        return self.interview.glance("web_goal", point_at(self.place(item)), thought, "point", goal=item.known["goal"])

    def text_at(self) -> Turn | None:
        items = [item for item in self.view.items if item.text and item.role not in ("paragraph", "row", "day") and self.has(item.text)]
        if not items:
            return None
        item = self.content.one(items)
        where = self.content.one((box_at, box_at, point_at))(self.place(item))
        return self.interview.glance("web_text_at", item.text, f"{item.text} is there.", "read", where=where)

    def row(self) -> Turn | None:
        """All that stands in the row of a thing, which comes first in it."""
        if not (item := self.known()) or not item.thing:
            return None
        rows = [row for row in self.view.rows if row.startswith(item.thing + " ")]
        return self.interview.read(rows[0], "web_row", "line", thing=item.thing) if len(rows) == 1 else None

    def paragraph(self) -> Turn | None:
        items = [item for item in self.view.items if item.role == "paragraph"]
        if not items:
            return None
        item = self.content.one(items)
        rows = [row for row, y in zip(self.view.rows, self.view.heights, strict=True) if item.box[1] < y < item.box[3]]
        text = "\n".join(rows)
        if " ".join(text.split()) != item.text or text not in self.interview.text:
            return None
        return self.interview.read(text, "web_paragraph", nth=ORDINALS[int(item.label) - 1])

    def title(self) -> Turn | None:
        if not self.shown.title or not self.has(self.shown.title):
            return None
        return self.interview.lookup("web_title", self.shown.title, self.shown.title, "title")

    def field(self) -> Turn | None:
        """What has been typed; a hint in an empty field is no such thing."""
        hinted = {item.label for item in self.view.items if item.role == "field" and item.known.get("hint") and not item.known.get("value")}
        turn = super().field()
        return turn if turn and not any(label.casefold() in turn.question.casefold() for label in hinted) else None

    def unknown(self) -> Turn | None:
        """A fact that the page does not state."""
        if self.content.chance(0.4) and any(item.label == "price" for item in self.facts):
            thing = self.content.product()
            if not self.interview.lacks(thing):
                return None
            return self.interview.refuse("web_price", f"There is no {thing}.", thing=thing)
        label = self.content.one(SOUGHT)
        if not all(self.interview.lacks(word) for word in label.split()) or any(item.label == label for item in self.view.items):
            return None
        return self.interview.refuse("web_fact", f"There is no {label}.", label=label)


def row_of(item: Item, items: Sequence[Item]) -> str:
    """What the row of an element is about, where all facts beside it are about one thing; else ""."""
    if item.role not in ("button", "link", "icon", "check box", "switch", "drop-down"):
        return ""
    middle = (item.box[1] + item.box[3]) / 2
    things = {other.thing for other in items if other.thing and other.role == "fact" and other.box[1] < middle < other.box[3]}
    return things.pop() if len(things) == 1 else ""


def as_widget(item: Item, row: str = "") -> Widget:
    """The item as a window's; one that nobody can press keeps its number and is of no kind."""
    x0, y0, x1, y1 = map(round, item.box)
    known = item.known
    value = str(known.get("group", "") if item.role == "radio button" else known.get("value", ""))
    kind = item.role if item.role in WIDGETS else ""
    label = item.label if kind else f"\0{item.label}"  # a text may be called like a button
    return Widget(kind, label, (x0, y0, x1, y1), value, bool(known.get("on", False)), bool(known.get("enabled", True)), row)


def items_of(known: Sequence[dict[str, Any]]) -> list[Item]:
    """What the pack recorded, read."""
    return [
        Item(entry["role"], entry["label"], entry.get("text", ""), tuple(entry["box"]), entry.get("thing", ""), dict(entry))
        for entry in known
    ]
