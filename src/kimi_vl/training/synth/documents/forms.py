"""Labels with values beside or below them: tickets, cards, delivery notes, the head of a letter."""

from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Overfull, Turn

LABELS: dict[str, Callable[[Content], str]] = {
    "Name": lambda c: c.person(),
    "Date": lambda c: c.date(),
    "Time": lambda c: c.time(),
    "Reference": lambda c: c.code(),
    "Phone": lambda c: c.phone(),
    "Email": lambda c: c.email(),
    "City": lambda c: c.town(),
    "Address": lambda c: c.street(),
    "Amount": lambda c: c.money().full(c.cents()),
    "Price": lambda c: c.money().full(c.cents()),
    "Order number": lambda c: c.code(),
    "Customer": lambda c: c.one((c.person, c.company))(),
    "Customer number": lambda c: c.number(6),
    "Account": lambda c: c.number(8),
    "Seat": lambda c: f"{c.rng.randint(1, 40)}{c.letters(1)}",
    "Row": lambda c: str(c.rng.randint(1, 40)),
    "Gate": lambda c: f"{c.letters(1)}{c.rng.randint(1, 60)}",
    "Room": lambda c: c.number(3),
    "Platform": lambda c: str(c.rng.randint(1, 24)),
    "Train": lambda c: f"{c.letters(2)} {c.number(3)}",
    "From": lambda c: c.town(),
    "To": lambda c: c.town(),
    "Status": lambda c: c.one(("Paid", "Open", "Closed", "Pending", "Confirmed", "Cancelled", "Shipped", "Draft")),
    "Weight": lambda c: f"{c.rng.randint(1, 90)}.{c.rng.randint(0, 9)} kg",
    "Quantity": lambda c: str(c.rng.randint(1, 400)),
    "Department": lambda c: c.one(("Sales", "Finance", "Support", "Research", "Logistics", "Legal", "Marketing")),
    "Due date": lambda c: c.date(),
    "Valid until": lambda c: c.date(),
    "Version": lambda c: f"{c.rng.randint(0, 9)}.{c.rng.randint(0, 20)}.{c.rng.randint(0, 9)}",
    "Author": lambda c: c.person(),
    "Product": lambda c: c.product(),
    "Serial number": lambda c: c.code(),
    "Size": lambda c: f"{c.rng.randint(1, 900)} {c.one(('KB', 'MB', 'GB', 'cm', 'mm'))}",
    "Passenger": lambda c: c.person(),
    "Booking": lambda c: c.letters(6),
    "Class": lambda c: c.one(("1", "2", "Economy", "Business", "First")),
    "Website": lambda c: c.site(),
    "Country": lambda c: c.one(("France", "Germany", "Spain", "Italy", "Canada", "Japan", "Norway", "Brazil", "India", "Ireland")),
    "Temperature": lambda c: f"{c.rng.randint(-20, 40)} C",
    "Duration": lambda c: f"{c.rng.randint(1, 12)} {c.one(('days', 'hours', 'weeks', 'min'))}",
}
INVENTED = 0.25  # share of the labels that may be anything, outside of split "test"
HELD_OUT_LABELS: dict[str, Callable[[Content], str]] = {
    "Contact person": lambda c: c.person(),
    "Tracking code": lambda c: c.code(),
    "Invoice date": lambda c: c.date(),
    "Batch": lambda c: c.code(),
    "Deposit": lambda c: c.money().full(c.cents()),
    "Destination": lambda c: c.town(),
    "Member since": lambda c: c.date(),
    "Floor": lambda c: str(c.rng.randint(1, 40)),
}
STYLES = Choice(("colon", "colon", "columns", "columns", "below", "boxed"), ("dash", "right"))


CASES: tuple[Callable[[str], str], ...] = (str, str, str, str.upper)


class Entry(NamedTuple):
    """One label with its value, and the rows of the transcription that carry them."""

    label: str
    value: str
    row: str


def draw_entries(content: Content, count: int) -> list[tuple[str, str]]:
    """`count` different labels with values; labels that are never trained on in split "test" only."""
    labels = content.rng.sample(list(LABELS), min(count, len(LABELS)))
    drawn = [(label, LABELS[label](content)) for label in labels]
    if content.split != "test":
        invented = [content.label() if content.chance(INVENTED) else label for label, _ in drawn]
        drawn = [(label if new in HELD_OUT_LABELS else new, value) for new, (label, value) in zip(invented, drawn, strict=True)]
    if content.split == "test":
        for k, label in enumerate(content.rng.sample(list(HELD_OUT_LABELS), len(drawn) // 2)):
            drawn[k] = (label, HELD_OUT_LABELS[label](content))
    return drawn


class Form(NamedTuple):
    """How entries are set: fonts for labels and values, the box (left, right), and the distance of the rows."""

    label_font: Font
    value_font: Font
    left: int
    right: int
    pitch: float
    ink: Colour


def print_form(content: Content, canvas: Canvas, form: Form, drawn: list[tuple[str, str]], top: float) -> tuple[float, list[Entry]]:
    """Print the entries from `top` down; returns the y below and what was printed. Raises Overfull."""
    style = str(STYLES.pick(content.rng, content.split))
    cased = content.one(CASES)
    entries = []
    y = top
    column = form.left + max(form.label_font.width(cased(label) + ":") for label, _ in drawn) + content.rng.randint(8, 40)
    for label, value in drawn:
        used, entry = _print_entry(canvas, form, style, (cased(label), value), y, column)
        y += used
        entries.append(entry)
    return y, entries


def _print_entry(canvas: Canvas, form: Form, style: str, pair: tuple[str, str], y: float, column: int) -> tuple[float, Entry]:
    label, value = pair
    small, font, ink = form.label_font, form.value_font, form.ink
    baseline = int(y) + max(font.ascent, small.ascent)
    if style == "below":
        canvas.write(form.left, baseline, label, small, ink)
        baseline += int(form.pitch * 0.95)
        _within(canvas.write(form.left, baseline, value, font, ink), form)
        return form.pitch * 2.1, Entry(label, value, f"{label}\n{value}")
    if style == "boxed":
        high = int(form.pitch * 1.15)
        canvas.frame(form.left - 4, int(y) - 3, form.right, int(y) - 2 + high, ink)
        canvas.fill(column - 6, int(y) - 3, column - 5, int(y) - 2 + high, ink)
    mark = {"colon": ":", "dash": " -"}.get(style, "")
    end = canvas.write(form.left, baseline, label + mark, small, ink)
    x = {"colon": end + font.width(" "), "dash": end + font.width(" "), "right": form.right - font.width(value) - 2}.get(style, column)
    if x < end + 2:
        raise Overfull(f"{value!r} runs into {label!r}")
    _within(canvas.write(x, baseline, value, font, ink, same_row=True), form)
    return form.pitch * (1.15 if style == "boxed" else 1.0), Entry(label, value, f"{label}{mark} {value}")


def _within(end: int, form: Form) -> None:
    if end > form.right:
        raise Overfull("a value leaves its form")


def entry_turn(content: Content, interview: Interview, entries: list[Entry]) -> Turn | None:
    """Ask for the value of one label that no other label contains."""
    entry = content.one(entries)
    label = entry.label.casefold()
    if sum(label in other.label.casefold() for other in entries) > 1:
        return None
    if entry.row not in interview.text:
        return None
    said = content.one((label, label, entry.label))
    return interview.lookup("entry", entry.value, entry.row, label=said)


def absent_entry_turn(content: Content, interview: Interview) -> Turn | None:
    """Ask for a label that is nowhere on the document, nor any word of it."""
    label = content.one(list(LABELS)).casefold()
    if not all(interview.lacks(word) for word in label.split()):
        return None
    return interview.refuse("entry", f"There is no {label} on it.", label=label)
