"""Rows of a receipt or an invoice, and how they are set: centred, in pairs, in columns, with rules between."""

from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, smaller
from kimi_vl.training.synth.scene import Overfull

RULES = Choice(("-", "=", "*", ".", "solid", "dashed", "solid", "-"), ("~", "_", "double", "+"))
LEADERS = Choice(("", "", "", ""), (".", "."))
PRICE_ALIGN = Choice(("right",), ("left",))


class Row(NamedTuple):
    """One printed row. `kind` is center, left, right, pair, cells, rule or gap, or a pair within a bar or a box (bar, boxed);
    `weight` is plain, bold or big."""

    cells: tuple[str, ...] = ()
    kind: str = "left"
    weight: str = "plain"

    @property
    def text(self) -> str:
        return " ".join([c for c in self.cells if c])


class Setting(NamedTuple):
    """Everything that setting rows needs to know."""

    fonts: dict[str, Font]
    left: int
    right: int
    pitch: float
    rule: str
    leader: str
    price_align: str
    ink: Colour
    columns: tuple[int, ...]  # widths of the cells of table rows
    stretch: int  # the table column that takes the room left over


def choose_setting(content: Content, rows: list[Row], fonts: dict[str, Font], width: int, ink: Colour, stretch: int) -> Setting:
    """Margins and a font size at which every row fits `width`; raises Overfull when even the smallest does not."""
    rng = content.rng
    margin = rng.randint(10, 34)
    left, right = margin, width - margin - rng.randint(-4, 6)
    for _ in range(6):
        columns = _column_widths(rows, fonts)
        needed = max(_row_width(row, fonts, columns) for row in rows)
        if needed <= right - left:
            break
        fonts = {name: _smaller(font, (right - left) / needed) for name, font in fonts.items()}
    else:
        raise Overfull(f"rows need {needed} pixels, there are {right - left}")
    if len(rows) and rng.random() < 0.25 and needed < (right - left) * 0.7:
        right = left + min(right - left, int(needed * rng.uniform(1.05, 1.4)))
    body = fonts["plain"]
    pitch = (body.ascent + body.descent) * rng.uniform(1.06, 1.5)
    split = content.split
    return Setting(
        fonts, left, right, pitch, str(RULES.pick(rng, split)), str(LEADERS.pick(rng, split) or content.one(("", "", "", "."))),
        str(PRICE_ALIGN.pick(rng, split)), ink, columns, stretch,
    )  # fmt: skip


def _smaller(font: Font, share: float) -> Font:
    found = smaller(font, share)
    if found is None:
        raise Overfull(f"{font.face.family} cannot be smaller than {font.size} pixels")
    return found


def _column_widths(rows: list[Row], fonts: dict[str, Font]) -> tuple[int, ...]:
    table = [row for row in rows if row.kind == "cells"]
    if not table:
        return ()
    return tuple(max(fonts[r.weight].width(r.cells[k]) for r in table) for k in range(len(table[0].cells)))


def _row_width(row: Row, fonts: dict[str, Font], columns: tuple[int, ...]) -> int:
    gap = 2 * fonts["plain"].size // 3
    if row.kind == "cells":
        return sum(columns) + gap * (len(columns) - 1)
    return sum(fonts[row.weight].width(c) + gap for c in row.cells) + (gap if row.kind in ("pair", "bar", "boxed") else 0)


def total_height(rows: list[Row], setting: Setting) -> int:
    return int(sum(_height(row, setting) for row in rows)) + 1


def _height(row: Row, setting: Setting) -> float:
    if row.kind == "gap":
        return setting.pitch * 0.5
    if row.kind == "rule":
        return setting.pitch * 0.8
    font, body = setting.fonts[row.weight], setting.fonts["plain"]
    roomy = 1.35 if row.kind in ("bar", "boxed") else 1.0
    return roomy * setting.pitch * max(1.0, (font.ascent + font.descent) / (body.ascent + body.descent))


def print_rows(canvas: Canvas, rows: list[Row], setting: Setting, top: int) -> int:
    """Print from `top` down; returns the y below the last row."""
    y = float(top)
    for row in rows:
        height = _height(row, setting)
        if row.kind == "rule":
            _rule(canvas, setting, int(y + height / 2))
        elif row.kind in ("bar", "boxed"):
            _print_framed(canvas, row, setting, int(y), int(y + height))
        elif row.kind != "gap":
            _print_row(canvas, row, setting, int(y) + setting.fonts[row.weight].ascent + 1)
        y += height
    return int(y)


def _print_row(canvas: Canvas, row: Row, setting: Setting, baseline: int) -> None:
    font, ink = setting.fonts[row.weight], setting.ink
    if row.kind == "pair":
        _print_pair(canvas, row, setting, baseline)
    elif row.kind == "cells":
        _print_cells(canvas, row, setting, baseline)
    else:
        text = row.cells[0]
        slack = setting.right - setting.left - font.width(text)
        x = setting.left + {"left": 0, "center": slack // 2, "right": slack}[row.kind]
        canvas.write(x, baseline, text, font, ink)


def _print_framed(canvas: Canvas, row: Row, setting: Setting, top: int, bottom: int) -> None:
    """A pair on a bar of ink or in a box, a little inside the margins."""
    font, ink, paper = setting.fonts[row.weight], setting.ink, canvas.paper
    if row.kind == "bar":
        canvas.fill(setting.left - 4, top + 1, setting.right + 4, bottom - 1, ink)
        ink, paper = paper, ink
    else:
        canvas.frame(setting.left - 4, top + 1, setting.right + 4, bottom - 1, ink)
    baseline = (top + bottom + font.ascent - font.descent) // 2
    name, price = row.cells
    end = canvas.write(setting.left + 2, baseline, name, font, ink, paper=paper)
    x = setting.right - 2 - font.width(price)
    assert x > end, f"{name!r} runs into {price!r}"
    canvas.write(x, baseline, price, font, ink, paper=paper, same_row=True)


def _print_pair(canvas: Canvas, row: Row, setting: Setting, baseline: int) -> None:
    font, ink = setting.fonts[row.weight], setting.ink
    name, price = row.cells
    end = canvas.write(setting.left, baseline, name, font, ink)
    x = setting.right - font.width(price)
    if setting.price_align == "left":
        x = min(x, setting.right - font.width("000000000"))
    space = font.width(" ")
    if x < end + space:
        x = setting.right - font.width(price)
    assert x >= end + space // 2, f"{name!r} runs into {price!r}"
    if setting.leader:
        step = font.width(setting.leader)
        dots = (x - space - end - space) // step
        if dots > 1:
            canvas.decorate(x - space - dots * step, baseline, setting.leader * dots, font, ink)
    canvas.write(x, baseline, price, font, ink, same_row=True)


def _print_cells(canvas: Canvas, row: Row, setting: Setting, baseline: int) -> None:
    font = setting.fonts[row.weight]
    gap = (setting.right - setting.left - sum(setting.columns)) // max(1, len(setting.columns) - 1)
    least = 2 * setting.fonts["plain"].size // 3
    widths = list(setting.columns)
    if gap > least:
        widths[setting.stretch] += (gap - least) * (len(widths) - 1)
        gap = least
    x, first, end = setting.left, True, 0
    for k, (text, width) in enumerate(zip(row.cells, widths, strict=True)):
        if text:
            at = x if k <= setting.stretch else x + width - font.width(text)
            assert at >= end, f"cell {text!r} runs into its neighbour in {row.cells}"
            end = canvas.write(at, baseline, text, font, setting.ink, same_row=not first)
            first = False
        x += width + gap


def _rule(canvas: Canvas, setting: Setting, y: int) -> None:
    left, right, font = setting.left, setting.right, setting.fonts["plain"]
    if setting.rule == "solid":
        canvas.fill(left, y, right, y + 1, setting.ink)
    elif setting.rule == "double":
        canvas.fill(left, y - 1, right, y, setting.ink)
        canvas.fill(left, y + 2, right, y + 3, setting.ink)
    elif setting.rule == "dashed":
        for x in range(left, right, 8):
            canvas.fill(x, y, min(x + 5, right), y + 1, setting.ink)
    else:
        count = (right - left) // max(1, font.width(setting.rule))
        canvas.decorate(left, y + int(font.x_height / 2), setting.rule * count, font, setting.ink)
