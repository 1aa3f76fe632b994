"""Bands of a page: several blocks beside one another on a common grid of rows, printed in reading order.

Whatever stands on a row of the grid is one row of the transcription, from left to right; so a reading never depends on which
block was set first, and no two blocks can be half a row apart.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, luminance, sized
from kimi_vl.training.synth.documents.forms import Entry
from kimi_vl.training.synth.documents.particulars import OPTIONS, Particular
from kimi_vl.training.synth.figures import mixed
from kimi_vl.training.synth.scene import Overfull

STYLES = Choice(
    (
        *("inline", "inline", "aligned", "aligned", "stack", "roomy grid", "roomy grid", "pairs", "pairs", "boxes", "table"),
        *("underlined", "chips", "boxed rows"),
    ),
    ("under", "braces"),
)
BESIDE = Choice(("inline", "inline", "aligned", "aligned", "stack", "grid"), ("braces",))  # those whose rows are whole steps of the grid
MARKS = Choice((":", ":", "", ""), (" |",))
CASES: tuple[Callable[[str], str], ...] = (str, str, str, str.upper)


class Fonts(NamedTuple):
    """The fonts of one document; `small` is for labels and small print."""

    plain: Font
    bold: Font
    small: Font
    big: Font

    @property
    def pitch(self) -> int:
        """Pixels a row of plain or bold text needs."""
        return max(f.ascent + f.descent for f in (self.plain, self.bold, self.small))


class Look(NamedTuple):
    """What all bands of a document share."""

    fonts: Fonts
    paper: Colour
    ink: Colour
    faded: Colour  # of labels
    tint: Colour  # a light ground
    accent: tuple[Colour, Colour]  # ground and ink of bars
    line: Colour


class Piece(NamedTuple):
    """One text at a place of the grid."""

    row: float
    x: int
    text: str
    font: Font
    ink: Colour
    paper: Colour


class Band:
    """Collects pieces for the rows below `top`, `pitch` pixels each, and prints them."""

    def __init__(self, canvas: Canvas, look: Look, top: float, pitch: float) -> None:
        self.canvas, self.look, self.top, self.pitch = canvas, look, int(top), pitch
        self.pieces: list[Piece] = []
        self.particulars: list[tuple[Particular, Piece, Piece]] = []
        self.ascent = max(look.fonts.plain.ascent, look.fonts.bold.ascent)

    def y(self, row: float) -> int:
        """The upper edge of a row."""
        return int(self.top + row * self.pitch)

    def put(self, row: float, x: int, text: str, font: Font, ink: Colour | None = None, paper: Colour | None = None) -> Piece:
        piece = Piece(row, x, text, font, ink or self.look.ink, paper or self.canvas.paper)
        self.pieces.append(piece)
        return piece

    def rows(self) -> list[list[Piece]]:
        """Pieces by row, from the left. Raises Overfull when two of them touch."""
        rows: dict[float, list[Piece]] = {}
        for piece in self.pieces:
            rows.setdefault(piece.row, []).append(piece)
        ordered = [sorted(rows[row], key=lambda piece: piece.x) for row in sorted(rows)]
        for row in ordered:
            for a, b in pairwise(row):
                if a.x + a.font.width(a.text) + 3 > b.x:
                    raise Overfull(f"{a.text!r} runs into {b.text!r}")
        return ordered

    def print(self) -> list[Entry]:
        """Write everything; returns the particulars with the rows that carry them."""
        rows = self.rows()
        for row in rows:
            for k, piece in enumerate(row):
                baseline = self.y(piece.row) + self.ascent
                self.canvas.write(piece.x, baseline, piece.text, piece.font, piece.ink, paper=piece.paper, same_row=k > 0)
        return [Entry(p.label, p.value, _evidence(rows, label, value)) for p, label, value in self.particulars]


def _evidence(rows: list[list[Piece]], label: Piece, value: Piece) -> str:
    """The shortest part of the transcription that holds both, or the row of the value."""
    where = {id(piece): k for k, row in enumerate(rows) for piece in row}
    upper, lower = sorted((where[id(label)], where[id(value)]))
    if upper == lower:
        row = rows[upper]
        i, j = sorted((_index(row, label), _index(row, value)))
        return " ".join([piece.text for piece in row[i : j + 1]])
    if lower == upper + 1:
        return "\n".join([" ".join([piece.text for piece in row]) for row in rows[upper : lower + 1]])
    return " ".join([piece.text for piece in rows[where[id(value)]]])


def _index(row: list[Piece], piece: Piece) -> int:
    return next(k for k, other in enumerate(row) if other is piece)


Block = Callable[[Band, int, int, float], float]  # (band, left, right, first row) -> the row below


def set_side_by_side(content: Content, band: Band, blocks: Sequence[Block], left: int, right: int) -> float:
    """The blocks in columns of about equal width; returns the row below all of them."""
    gap, shares = content.rng.randint(14, 36), [content.rng.uniform(0.8, 1.3) for _ in blocks]
    room = right - left - gap * (len(blocks) - 1)
    x, end = float(left), 0.0
    for block, share in zip(blocks, shares, strict=True):
        wide = room * share / sum(shares)
        end = max(end, block(band, int(x), int(x + wide), 0))
        x += wide + gap
    return end


class Line(NamedTuple):
    """One row of text in a block."""

    text: str
    weight: str = "plain"  # plain, bold, small or big


def set_lines(content: Content, lines: Sequence[Line], align: str = "left") -> Block:
    """Rows of text, aligned within their column; big ones take as many steps of the grid as they need."""

    def block(band: Band, left: int, right: int, row: float) -> float:
        for line in lines:
            font = getattr(band.look.fonts, line.weight)
            wide = font.width(line.text)
            if wide > right - left:
                fonts = band.look.fonts
                font = next(
                    (f for f in (fonts.bold, fonts.plain) if line.weight == "big" and f.width(line.text) <= right - left), fonts.small
                )
                wide = font.width(line.text)
            slack = right - left - wide
            if slack < 0:
                raise Overfull(f"{line.text!r} is wider than its column")
            steps = max(1, -(-(font.ascent + font.descent - 2) // int(band.pitch)))
            band.put(row + steps - 1, left + {"left": 0, "center": slack // 2, "right": slack}[align], line.text, font)
            row += steps
        return row

    return block


def set_fields(content: Content, particulars: Sequence[Particular], style: str, columns: int = 2) -> Block:
    """Labels with values in one of STYLES; grids, boxes and tables have `columns` columns."""
    case, mark = content.one(CASES), str(MARKS.pick(content.rng, content.split))
    weight = content.one(("plain", "bold", "small", "small"))
    faded, heavy = content.chance(0.3), content.chance(0.3)
    roomy = content.rng.uniform(0.15, 0.7)

    def block(band: Band, left: int, right: int, row: float) -> float:
        fonts, look = band.look.fonts, band.look
        pen = _Pen(
            band, getattr(fonts, weight), fonts.bold if heavy and weight != "bold" else fonts.plain, look.faded if faded else look.ink,
            mark, left, right, roomy,
        )  # fmt: skip
        cased = [p._replace(label=case(p.label)) for p in particulars]
        return _SETTERS[style](content, pen, cased, row, _fitting(pen, cased, style, columns))

    return block


class _Pen(NamedTuple):
    """Fonts and the box of a block of fields."""

    band: Band
    label: Font
    value: Font
    label_ink: Colour
    mark: str
    left: int
    right: int
    roomy: float

    def field(
        self, row: float, x: int, value_row: float, value_x: int, p: Particular, limit: int, mark: str = "", suffix: str = ""
    ) -> None:
        """One label and its value, which ends before `limit`. Raises Overfull."""
        label = self.band.put(row, x, p.label + mark, self.label, self.label_ink)
        value = self.band.put(value_row, value_x, p.value + suffix, self.value)
        if max(value_x + self.value.width(p.value + suffix), x + self.label.width(p.label + mark)) > limit:
            raise Overfull(f"{p.value!r} leaves its field")
        self.band.particulars.append((p, label, value))

    def gap(self) -> int:
        return max(4, self.value.width(" "))


Fields = Sequence[Particular]


def _fitting(pen: _Pen, fields: Fields, style: str, columns: int) -> int:
    """As many of `columns` as the widest row of them leaves room for."""
    if style == "pairs":
        needed = [pen.label.width(f"{p.label}{pen.mark or ':'}") + pen.gap() + pen.value.width(p.value) + 12 for p in fields]
    else:
        needed = [max(pen.label.width(p.label), pen.value.width(p.value)) + 16 for p in fields]
    while columns > 1 and any(sum(needed[k : k + columns]) > pen.right - pen.left for k in range(0, len(fields), columns)):
        columns -= 1
    return columns


def _inline(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    mark = pen.mark or ("" if pen.label is not pen.value or pen.label_ink != pen.band.look.ink else ":")
    for p in fields:
        pen.field(row, pen.left, row, pen.left + pen.label.width(p.label + mark) + pen.gap(), p, pen.right, mark)
        row += 1
    return row


def _braces(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    for p in fields:
        pen.field(row, pen.left, row, pen.left + pen.label.width(p.label + " [") + 3 + pen.gap(), p, pen.right, " [", " ]")
        row += 1
    return row


def _aligned(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    x = pen.left + max(pen.label.width(p.label + pen.mark) for p in fields) + content.rng.randint(8, 28)
    for p in fields:
        pen.field(row, pen.left, row, x, p, pen.right, pen.mark)
        row += 1
    return row


def _boxed_rows(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    x = pen.left + max(pen.label.width(p.label + pen.mark) for p in fields) + content.rng.randint(14, 30)
    shaded, step = content.chance(0.4), 1.3
    band, top = pen.band, pen.band.y(row)
    for p in fields:
        y = band.y(row)
        band.canvas.fill(pen.left, y - 2, pen.right, y - 1, band.look.line)
        pen.field(row, pen.left + 6, row, x + 2, p, pen.right - 4, pen.mark)
        row += step
    band.canvas.frame(pen.left, top - 2, pen.right, band.y(row) - 1, band.look.line)
    if shaded or content.chance(0.6):
        band.canvas.fill(x - 6, top - 2, x - 5, band.y(row) - 1, band.look.line)
    return row + 0.2


def _underlined(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    dotted = content.chance(0.4)
    for p in fields:
        x = pen.left + pen.label.width(p.label + pen.mark) + 10
        pen.field(row, pen.left, row, x, p, pen.right, pen.mark)
        y = pen.band.y(row) + pen.band.ascent + pen.value.descent
        for x0 in range(x - 4, pen.right, 4 if dotted else pen.right):
            pen.band.canvas.fill(x0, y, min(pen.right, x0 + 2 if dotted else pen.right), y + 1, pen.band.look.line)
        row += 1.35
    return row


def _chips(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Labels in bars of another colour, values beside them."""
    ground, ink = pen.band.look.accent
    wide = max(pen.label.width(p.label) for p in fields) + 12
    for p in fields:
        y = pen.band.y(row)
        pen.band.canvas.fill(pen.left, y - 1, pen.left + wide, y + pen.label.ascent + pen.label.descent + 2, ground)
        label = pen.band.put(row, pen.left + 6, p.label, pen.label, ink, ground)
        value = pen.band.put(row, pen.left + wide + 10, p.value, pen.value)
        if value.x + pen.value.width(p.value) > pen.right:
            raise Overfull(f"{p.value!r} leaves its field")
        pen.band.particulars.append((p, label, value))
        row += 1.3
    return row


def _stack(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Each value below its label."""
    mark = content.one(("", pen.mark))
    for p in fields:
        pen.field(row, pen.left, row + 1, pen.left, p, pen.right, mark)
        row += 2
    return row


def _under(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Values above a rule, labels below it."""
    for p in fields:
        pen.field(row + 1.1, pen.left, row, pen.left, p, pen.right)
        y = pen.band.y(row + 1.05)
        pen.band.canvas.fill(pen.left, y, pen.right, y + 1, pen.band.look.line)
        row += 2.5
    return row


def _spread(pen: _Pen, group: Fields, columns: int, pad: int) -> list[int]:
    """Left edges of the columns for one row of a grid: equal ones, or as wide as their texts need. Raises Overfull."""
    wide = (pen.right - pen.left) // columns
    needed = [max(pen.label.width(p.label), pen.value.width(p.value)) + 2 * pad + 8 for p in group]
    if all(n <= wide for n in needed):
        return [pen.left + wide * k for k in range(len(group))] + [pen.right if len(group) == columns else pen.left + wide * len(group)]
    slack = (pen.right - pen.left - sum(needed)) // len(group)
    if slack < 0:
        raise Overfull("a row of fields is too wide")
    edges = [pen.left]
    for n in needed:
        edges.append(edges[-1] + n + slack)
    return edges


def _grid(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Label above value, several beside one another."""
    for start in range(0, len(fields), columns):
        group = fields[start : start + columns]
        edges = _spread(pen, group, columns, 0)
        for p, x, end in zip(group, edges, edges[1:], strict=False):
            pen.field(row, x, row + 1, x, p, end)
        row += 2
    return row


def _roomy_grid(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    for start in range(0, len(fields), columns):
        row = _grid(content, pen, fields[start : start + columns], row, columns) + pen.roomy
    return row


def _boxes(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """A frame about each label with its value below."""
    band, tinted = pen.band, content.chance(0.25)
    for start in range(0, len(fields), columns):
        group = fields[start : start + columns]
        edges = _spread(pen, group, columns, 4)
        top, bottom = band.y(row) - 3, band.y(row + 2.15)
        for p, x, end in zip(group, edges, edges[1:], strict=False):
            if tinted:
                band.canvas.fill(x, top, end, band.y(row + 1), band.look.tint)
            band.canvas.frame(x, top, end + 1, bottom + 1, band.look.line)
            label = band.put(row, x + 5, p.label, pen.label, pen.label_ink, band.look.tint if tinted else None)
            value = band.put(row + 1, x + 5, p.value, pen.value)
            band.particulars.append((p, label, value))
        row += 2.15 + 3 / band.pitch
    return row + 0.2


def _table(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """A head of labels with the values in a row below it."""
    band, bar = pen.band, content.chance(0.5)
    ground, ink = band.look.accent
    for start in range(0, len(fields), columns):
        group = fields[start : start + columns]
        edges = _spread(pen, group, columns, 4)
        top, middle, bottom = band.y(row) - 3, band.y(row + 1.1), band.y(row + 2.4)
        if bar:
            band.canvas.fill(edges[0], top, edges[-1], middle, ground)
        else:
            band.canvas.frame(edges[0], top, edges[-1], bottom, band.look.line)
            for x in edges[1:-1]:
                band.canvas.fill(x, top, x + 1, bottom, band.look.line)
        band.canvas.fill(edges[0], middle, edges[-1], middle + 1, band.look.line)
        for p, x in zip(group, edges, strict=False):
            label = band.put(row, x + 5, p.label, pen.label, ink if bar else pen.label_ink, ground if bar else None)
            value = band.put(row + 1.25, x + 5, p.value, pen.value)
            band.particulars.append((p, label, value))
        row += 2.4 + 8 / band.pitch
    return row


def _pairs(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Several labels with their values on one row: "Date 03/04/2024  Time 14:02"."""
    mark = pen.mark or ("" if pen.label is not pen.value else ":")
    for start in range(0, len(fields), columns):
        group = fields[start : start + columns]
        needed = [pen.label.width(p.label + mark) + pen.gap() + pen.value.width(p.value) for p in group]
        slack = pen.right - pen.left - sum(needed)
        if slack < 12 * (len(group) - 1):
            raise Overfull("a row of pairs is too wide")
        wide = (pen.right - pen.left) // columns
        x, even = pen.left, all(n + 12 <= wide for n in needed)
        for k, (p, n) in enumerate(zip(group, needed, strict=True)):
            x = pen.left + wide * k if even else x
            pen.field(row, x, row, x + pen.label.width(p.label + mark) + pen.gap(), p, pen.right, mark)
            x += n + slack // max(1, len(group) - 1)
        row += 1
    return row


def _ticks(content: Content, pen: _Pen, fields: Fields, row: float, columns: int) -> float:
    """Every option with a box before it, the box of the value ticked; what has no options stands in line."""
    band, look, side = pen.band, pen.band.look, int(pen.value.x_height * 1.3)
    below, cross = content.chance(0.3), content.chance(0.6)
    for p in fields:
        label = band.put(row, pen.left, p.label + pen.mark, pen.label, pen.label_ink)
        x, value = pen.left + pen.label.width(p.label + pen.mark) + 2 * pen.gap(), label
        options = [o for o in OPTIONS.get(p.kind, ()) if o == p.value or content.chance(0.8)]
        if below and options:
            row, x = row + 1, pen.left + 8
        for option in options or [p.value]:
            if options:
                y = band.y(row) + band.ascent - side
                band.canvas.frame(x, y, x + side, y + side, look.line)
                if option == p.value:
                    _tick(band, x, y, side, cross)
                x += side + 5
            piece = band.put(row, x, option, pen.value)
            value = piece if option == p.value else value
            x += pen.value.width(option) + 2 * pen.gap() + 4
        if x > pen.right + 2 * pen.gap():
            raise Overfull(f"the options of {p.label!r} leave their field")
        band.particulars.append((p, label, value))
        row += 1.25
    return row


def _tick(band: Band, x: int, y: int, side: int, cross: bool) -> None:
    """A cross, or a filled square."""
    if not cross:
        band.canvas.fill(x + 2, y + 2, x + side - 2, y + side - 2, band.look.ink)
        return
    for k in range(side):
        band.canvas.fill(x + k, y + k, x + k + 2, y + k + 1, band.look.ink)
        band.canvas.fill(x + side - 1 - k, y + k, x + side + 1 - k, y + k + 1, band.look.ink)


_SETTERS: dict[str, Callable[[Content, _Pen, Fields, float, int], float]] = {
    "inline": _inline,
    "aligned": _aligned,
    "stack": _stack,
    "grid": _grid,
    "roomy grid": _roomy_grid,
    "pairs": _pairs,
    "boxes": _boxes,
    "table": _table,
    "underlined": _underlined,
    "chips": _chips,
    "boxed rows": _boxed_rows,
    "under": _under,
    "braces": _braces,
    "ticks": _ticks,
}


def choose_look(content: Content, low: int, high: int, white: float = 0.75) -> tuple[Look, Colour]:
    """Fonts and colours of one document; small print keeps the least x-height."""
    rng = content.rng
    face = content.face(("sans", "sans", "serif", "mono", "condensed", "slab", "receipt"))
    plain = content.font(face, low, high)
    heavy = content.sibling(face, bold=True) if content.chance(0.8) else face
    top = content.sibling(content.face(), bold=True) if content.chance(0.25) else heavy
    fonts = Fonts(
        plain, sized(heavy, plain.size), sized(face, plain.size * rng.uniform(0.6, 1.0)), sized(top, plain.size * rng.uniform(1.3, 2.3))
    )
    paper, ink = content.colours(white)
    accent = content.one(((ink, paper), (mixed(paper, ink, 0.15), ink), content.colours(0), (ink, paper)))
    line = mixed(paper, ink, content.one((1.0, 1.0, 0.5, 0.35)))
    faded = mixed(paper, ink, 0.7) if abs(luminance(paper) - luminance(ink)) > 100 else ink  # still a quarter of the range
    return Look(fonts, paper, ink, faded, mixed(paper, ink, 0.08), accent, line), paper
