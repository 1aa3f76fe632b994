"""Small tables with a head: asked cell by cell, summed and compared."""

import random
from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Overfull, Turn

COLUMNS: dict[str, Callable[[Content], str]] = {
    "Price": lambda c: c.money().bare(c.cents()),
    "Quantity": lambda c: str(c.rng.randint(1, 99)),
    "Code": lambda c: c.code(),
    "Date": lambda c: c.date(),
    "City": lambda c: c.town(),
    "Year": lambda c: str(c.rng.randint(1900, 2029)),
    "Points": lambda c: str(c.rng.randint(0, 120)),
    "Size": lambda c: f"{c.rng.randint(1, 99)} {c.one(('cm', 'kg', 'MB', 'm'))}",
    "Stock": lambda c: str(c.rng.randint(0, 500)),
    "Rate": lambda c: f"{c.rng.randint(0, 99)}.{c.rng.randint(0, 9)}%",
    "Status": lambda c: c.one(("open", "closed", "ok", "paid", "late", "new")),
    "Age": lambda c: str(c.rng.randint(1, 99)),
    "Sales": lambda c: str(c.rng.randint(10, 9999)),
}
NUMERIC = ("Quantity", "Points", "Stock", "Age", "Sales")
SUBJECTS: dict[str, Callable[[Content], str]] = {
    "Item": lambda c: c.product(),
    "Product": lambda c: c.product(),
    "Name": lambda c: c.person(),
    "Town": lambda c: c.town(),
    "Team": lambda c: c.town(),
    "Word": lambda c: c.word(),
}
LOOKS = Choice(("head rule", "grid", "zebra", "head bar", "plain", "rules"), ("double head", "frame only"))


class Table(NamedTuple):
    """What is printed: the head, and the body's cells by row; the first column names the row."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]


def draw_table(content: Content, rows: int, columns: int) -> Table:
    """A table with distinct row names."""
    subject = content.one(list(SUBJECTS))
    head = (subject, *content.rng.sample([h for h in COLUMNS if h != subject], columns - 1))
    money = content.money()
    body = []
    for _ in range(rows):
        cells = [money.bare(content.cents()) if h == "Price" else COLUMNS[h](content) for h in head[1:]]
        body.append((SUBJECTS[subject](content), *cells))
    names = [row[0].casefold() for row in body]
    if any(a in b for i, a in enumerate(names) for j, b in enumerate(names) if i != j):
        raise Overfull("row names are not distinct")
    return Table(head, tuple(body))


def print_table(
    content: Content, canvas: Canvas, table: Table, fonts: tuple[Font, Font], box: tuple[int, int, float], ink: Colour
) -> float:
    """Print with (body, head) fonts into box (left, right, top); returns the y below. Raises Overfull."""
    font, bold = fonts
    left, right, top = box
    rng, look = content.rng, str(LOOKS.pick(content.rng, content.split))
    rows = (table.head, *table.body)
    widths = [max((bold if k == 0 else font).width(row[c]) for k, row in enumerate(rows)) for c in range(len(table.head))]
    pad = (right - left - sum(widths)) // len(widths)
    if pad < 8:
        raise Overfull(f"table needs {sum(widths)} of {right - left} pixels")
    pad = min(pad, rng.randint(10, 60))
    right_aligned = content.chance(0.4)
    high = int((font.ascent + font.descent) * rng.uniform(1.15, 1.6)) + 1
    end = left + sum(widths) + pad * len(widths)
    paper, head_paper, head_ink = _shades(content, canvas, look, ink)
    for k, row in enumerate(rows):
        y = int(top) + k * high
        back = head_paper if k == 0 and look == "head bar" else paper if look == "zebra" and k % 2 == 0 else canvas.paper
        if back != canvas.paper:
            canvas.fill(left - 4, y, end, y + high, back)
        x = left
        baseline = y + (high - font.ascent - font.descent) // 2 + font.ascent
        for c, cell in enumerate(row):
            used = bold if k == 0 else font
            at = x + (widths[c] - used.width(cell) if right_aligned and c else 0)
            colour = head_ink if k == 0 and look == "head bar" else ink
            canvas.write(at, baseline, cell, used, colour, paper=back, same_row=c > 0)
            x += widths[c] + pad
    _rules(canvas, look, ink, (left - 4, int(top), end, int(top) + high * len(rows)), high, widths, pad)
    return top + high * len(rows)


def _shades(content: Content, canvas: Canvas, look: str, ink: Colour) -> tuple[Colour, Colour, Colour]:
    """Paper of every second row, and paper and ink of a head bar."""
    tint = tuple(round(p * 0.9 + i * 0.1) for p, i in zip(canvas.paper, ink, strict=True))
    return (tint[0], tint[1], tint[2]), ink, canvas.paper


def _rules(canvas: Canvas, look: str, ink: Colour, box: tuple[int, int, int, int], high: int, widths: list[int], pad: int) -> None:
    left, top, right, bottom = box
    if look in ("grid", "frame only"):
        canvas.frame(left, top, right, bottom + 1, ink)
    if look in ("grid", "rules"):
        for y in range(top, bottom + 1, high):
            canvas.fill(left, y, right, y + 1, ink)
    if look == "grid":
        x = left
        for width in widths[:-1]:
            x += width + pad
            canvas.fill(x, top, x + 1, bottom, ink)
    if look in ("head rule", "double head"):
        canvas.fill(left, top + high - 1, right, top + high, ink)
    if look == "double head":
        canvas.fill(left, top - 1, right, top, ink)
        canvas.fill(left, bottom, right, bottom + 1, ink)


def table_turn(content: Content, interview: Interview, table: Table) -> Turn | None:
    """One question about the table: a cell, the largest, the sum of a column, or the number of rows."""
    rng = content.rng
    draw = rng.random()
    if draw < 0.5:
        row, c = rng.choice(table.body), rng.randrange(1, len(table.head))
        said = rng.choice((row[0], row[0], row[0].lower()))
        return interview.lookup("cell", row[c], " ".join(row), "find", column=table.head[c].lower(), row=said)
    if draw < 0.6:
        names = "\n".join(f"{k}. {row[0]}" for k, row in enumerate(table.body, 1))
        return interview.work("count_rows", str(len(table.body)), names, "count", trivial=True)
    numeric = [c for c, name in enumerate(table.head) if name in NUMERIC]
    if not numeric or len(table.body) < 2:
        return None
    column = rng.choice(numeric)
    return _extreme(rng, interview, table, column) if draw < 0.82 else _sum(interview, table, column)


def _extreme(rng: random.Random, interview: Interview, table: Table, column: int) -> Turn | None:
    values = [int(row[column]) for row in table.body]
    high = rng.random() < 0.6
    best = max(values) if high else min(values)
    if values.count(best) > 1:
        return None
    row = table.body[values.index(best)]
    trace = "\n".join(f"{r[0]} {r[column]}" for r in table.body) + f"\nThe {'highest' if high else 'lowest'} is {best}."
    key = "highest" if high else "lowest"
    return interview.work(key, row[0], trace, "find", trivial=True, subject=table.head[0].lower(), column=table.head[column].lower())


def _sum(interview: Interview, table: Table, column: int) -> Turn | None:
    values = [int(row[column]) for row in table.body]
    if len(values) > 7:
        return None
    steps, total = [f"{r[0]} {r[column]}" for r in table.body], values[0]
    for value in values[1:]:
        steps.append(f"{total} + {value} = {total + value}")
        total += value
    return interview.work("column_sum", str(total), "\n".join(steps), "sum", trivial=len(values) == 2, column=table.head[column].lower())
