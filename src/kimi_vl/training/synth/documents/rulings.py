"""How tables are ruled and set, and the pages they stand on: by themselves, under a title, or in an invoice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, sized, smaller
from kimi_vl.training.synth.documents.goods import PLAIN, draw_goods
from kimi_vl.training.synth.documents.invoices import CUSTOMER, DUE, ISSUED, NUMBER, TITLE
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.documents.paragraphs import title as draw_title
from kimi_vl.training.synth.documents.receipts import Fact, choose_money
from kimi_vl.training.synth.documents.sheets import Sheet, draw_items, draw_sheet, pick
from kimi_vl.training.synth.figures import Notation, mixed
from kimi_vl.training.synth.scene import Overfull

WIDEST, HIGHEST = 672, 868

RULINGS = Choice(
    (
        ("frame", "rows", "columns"),
        ("frame", "rows", "columns"),
        ("frame", "rows", "columns", "bar"),
        ("rows",),
        ("head",),
        ("zebra",),
        ("bar",),
        ("bar", "zebra"),
        (),
        ("head", "columns"),
        ("top", "head", "bottom"),
        ("frame", "head"),
        ("zebra", "frame"),
        ("columns",),
        ("bar", "rows"),
        ("head", "zebra"),
        ("frame", "rows"),
        ("head", "rows", "bottom"),
        ("frame", "bar", "columns"),
        ("top", "bottom", "zebra"),
        ("bar", "bottom"),
    ),
    (("double", "bottom"), ("frame",), ("frame", "columns"), ("dots",), ("frame", "bar", "dots")),
)
STROKES = ("frame", "rows", "columns", "bar", "zebra", "head", "top", "bottom")  # composed at will, outside of split "test"
WEIGHTS = Choice(("thin", "thin", "booktabs", "thick head", "twice"), ("heavy",))  # of the lines of a table)
HEAD_CASES = Choice(("as is", "as is", "as is", "upper"), ("lower",))
NUMBER_ALIGNS = Choice(("right", "right", "right", "left", "mixed", "mixed"), ("center",))
GRAND_TOTALS = Choice(
    (
        *("Total: {}", "Total {}", "Total due: {}", "Amount due: {}", "TOTAL {}", "Grand total: {}", "Balance due {}", "Invoice total: {}"),
        *("Total amount: {}", "Due: {}", "To pay: {}", "Total due {}", "AMOUNT DUE: {}"),
    ),
    ("Payable: {}", "Sum total {}"),
)
TITLE_PLACES = Choice(("left", "left", "center"), ("right",))
CAPTIONS = Choice(("Table {}: {}", "{}. {}"), ("Tab. {} - {}",))


class Setting(NamedTuple):
    """Fonts, the widths of the columns with their padding, and the colours of a table."""

    font: Font
    bold: Font
    pad: int
    high: int
    widths: tuple[int, ...]
    ruling: tuple[str, ...]
    ink: Colour
    bar: tuple[Colour, Colour]  # paper and ink of the head, and of nothing else
    tint: Colour  # of every second row
    line: Colour
    weight: str

    @property
    def width(self) -> int:
        return sum(self.widths)


def styled(content: Content, sheet: Sheet) -> Sheet:
    """The same table with its heads cased and its columns aligned."""
    cases: dict[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower, "as is": str}
    case = cases[pick(content, HEAD_CASES)]
    numbers = pick(content, NUMBER_ALIGNS)
    texts = content.one(("left", "left", "left", "center"))
    columns = []
    for k, column in enumerate(sheet.columns):
        align = numbers if column.values else "left" if k == sheet.key else texts
        if numbers == "mixed":  # each column as it likes, as typesetters do
            align = content.one(("left", "center", "right")) if k != sheet.key else content.one(("left", "left", "left", "center"))
        head = column.head if "(" in column.head else case(column.head)  # "(KG)" is no unit
        columns.append(column._replace(head=head, align=align))
    return sheet._replace(columns=tuple(columns))


def choose_setting(content: Content, sheet: Sheet, fonts: tuple[Font, Font], colours: tuple[Colour, Colour], room: int) -> Setting:
    """Column widths at which every cell fits into `room` pixels; raises Overfull when even the smallest font does not."""
    rng, (paper, ink), (font, bold) = content.rng, colours, fonts
    while True:
        pad = max(8, int(font.size * rng.uniform(0.7, 2.2)))
        widths = [_widest(sheet, k, font, bold) + pad for k in range(len(sheet.columns))]
        if sum(widths) <= room:
            break
        found, heavy = smaller(font, 0.95), smaller(bold, 0.95)
        if found is None or heavy is None:
            pad = 10
            widths = [_widest(sheet, k, font, bold) + pad for k in range(len(sheet.columns))]
            if sum(widths) <= room:
                break
            raise Overfull(f"table needs {sum(widths)} of {room} pixels")
        font, bold = found, heavy
    if content.chance(0.5):
        widths[sheet.key if content.chance(0.5) else -1] += rng.randint(0, room - sum(widths)) // 2
    ruling = RULINGS.pick(rng, content.split)
    assert isinstance(ruling, tuple)
    if content.split != "test" and content.chance(0.4):
        composed = tuple([stroke for stroke in STROKES if content.chance(0.35)])
        ruling = ruling if composed in RULINGS.held_out else composed
    bar = content.one(((ink, paper), (mixed(paper, ink, 0.15), ink), content.colours(0)))
    high = int((font.ascent + font.descent) * rng.uniform(1.12, 1.7)) + 1
    line = ink if content.chance(0.6) else mixed(paper, ink, rng.uniform(0.3, 0.6))
    return Setting(
        font, bold, pad, high, tuple(widths), ruling, ink, bar, mixed(paper, ink, rng.uniform(0.05, 0.14)), line, pick(content, WEIGHTS)
    )


def _widest(sheet: Sheet, k: int, font: Font, bold: Font) -> int:
    column = sheet.columns[k]
    total = bold.width(sheet.total[k]) if sheet.total else 0
    return max(bold.width(column.head), total, *[font.width(cell) for cell in column.cells])


def print_sheet(canvas: Canvas, sheet: Sheet, setting: Setting, left: int, top: int) -> int:
    """Print the table; returns the y below it."""
    rows = [sheet.head, *sheet.rows, *([sheet.total] if sheet.total else [])]
    high, right = setting.high, left + setting.width
    for k, row in enumerate(rows):
        y, head = top + k * high, k == 0
        paper, ink = canvas.paper, setting.ink
        if head and "bar" in setting.ruling:
            paper, ink = setting.bar
        elif "zebra" in setting.ruling and k % 2 == 0 and not head:
            paper = setting.tint
        if paper != canvas.paper:
            canvas.fill(left, y, right, y + high, paper)
        font = setting.bold if head or (sheet.total and k == len(rows) - 1) else setting.font
        baseline = y + (high - font.ascent - font.descent) // 2 + font.ascent
        x, written = left, False
        for cell, width, column in zip(row, setting.widths, sheet.columns, strict=True):
            if cell:
                slack = width - setting.pad - font.width(cell)
                at = x + setting.pad // 2 + {"left": 0, "center": slack // 2, "right": slack}[column.align]
                canvas.write(at, baseline, cell, font, ink, paper=paper, same_row=written)
                written = True
            x += width
    if sheet.total:
        canvas.fill(left, top + high * (len(rows) - 1), right, top + high * (len(rows) - 1) + 1, setting.line)
    _rule(canvas, setting, (left, top, right, top + high * len(rows)))
    return top + high * len(rows)


def _rule(canvas: Canvas, setting: Setting, box: tuple[int, int, int, int]) -> None:
    (left, top, right, bottom), ruling, line, high = box, setting.ruling, setting.line, setting.high
    if "frame" in ruling:
        canvas.frame(left, top, right + 1, bottom + 1, line)
    if "rows" in ruling:
        for y in range(top, bottom + 1, high):
            canvas.fill(left, y, right, y + 1, line)
    if "dots" in ruling:
        for y in range(top + high, bottom + 1, high):
            for x in range(left, right, 4):
                canvas.fill(x, y, x + 2, y + 1, line)
    if "columns" in ruling:
        x = left
        for width in setting.widths[:-1]:
            x += width
            canvas.fill(x, top, x + 1, bottom, line)
    if "frame" in ruling and setting.weight == "twice":
        canvas.frame(left - 3, top - 3, right + 4, bottom + 4, line)
    thick = {"booktabs": ("top", "bottom"), "thick head": ("head",), "heavy": ("top", "head", "bottom")}.get(setting.weight, ())
    for name, y in (("head", top + high), ("top", top), ("bottom", bottom), ("double", top + high - 2), ("double", top + high)):
        if name in ruling:
            canvas.fill(left, y - 1, right, y + (1 if name in thick else 0), line)


# Pages -----------------------------------------------------------------------------------------------------------------


@dataclass
class Page:
    """A printed table with what stands around it."""

    sheet: Sheet
    facts: dict[str, Fact] = field(default_factory=dict)


class Line(NamedTuple):
    """A row of text above or below the table; it answers `key` with `answer`."""

    text: str
    key: str = ""
    answer: str = ""
    bold: bool = False
    align: str = "left"


def _frame_lines(content: Content, sheet: Sheet, money: Notation) -> tuple[list[Line], list[Line]]:
    """What stands above and below the table of an invoice."""
    shop, kind = content.company(), pick(content, TITLE)
    above = [Line(shop, "shop", shop, content.chance(0.6)), Line(kind, "title", kind, content.chance(0.7))]
    if content.chance(0.5):
        above.reverse()
    drawn = [("number", NUMBER, content.code()), ("date", ISSUED, content.date())]
    if content.chance(0.4):
        drawn.append(("due", DUE, content.date()))
    if content.chance(0.6):
        drawn.append(("customer", CUSTOMER, content.one((content.person, content.company))()))
    content.rng.shuffle(drawn)
    above += [Line(pick(content, choice).format(value), key, value) for key, choice, value in drawn]
    below = []
    if sheet.columns[-1].kind == "money" and content.chance(0.75):
        total = money.full(sum(sheet.columns[-1].values))
        text = pick(content, GRAND_TOTALS).format(total)
        below.append(Line(text, "total", total, content.chance(0.6), content.one(("right", "right", "left"))))
    return above, below


def _title_lines(content: Content) -> list[Line]:
    if content.chance(0.45):
        return []
    text = draw_title(content)
    align = pick(content, TITLE_PLACES)
    if content.chance(0.25):
        return [Line(pick(content, CAPTIONS).format(content.rng.randint(1, 20), text), "title", text, align=align)]
    return [Line(text, "title", text, content.chance(0.7), align)]


def _prose_lines(content: Content, font: Font, width: int, count: int) -> list[Line]:
    """Running text in at most `count` rows of `width` pixels."""
    rest, rows = content.fragment(12 * count), list[Line]()
    while rest and len(rows) < count:
        row = fitted(rest, font, width)
        rows.append(Line(row))
        rest = rest[len(row) :].strip()
    return rows


def draw_page(content: Content) -> tuple[Canvas, int, float, Page]:
    """A table by itself, with a title, or within an invoice: at most 672 wide and 784 high."""
    rng = content.rng
    face = content.face(("sans", "sans", "serif", "mono", "condensed", "slab"))
    font = content.font(face, 12, 19)
    bold = sized(content.sibling(face, bold=True), font.size) if content.chance(0.75) else font
    style = choose_money(content, font)
    symbol = style.symbol
    money = Notation(
        2, style.decimal, style.group, "" if style.after else symbol, f" {symbol}" if symbol and style.after else ""
    )  # fmt: skip
    invoiced = content.chance(0.35)
    listed = invoiced or content.chance(0.15)
    drawn = draw_sheet(content, money)
    if listed:
        drawn = draw_items(content, money) if content.chance(0.5) else draw_goods(content, money, PLAIN, whole=True)
    sheet = styled(content, drawn)
    above, below = _frame_lines(content, sheet, money) if invoiced else (_title_lines(content), [])
    paper, ink = content.colours(0.82)
    setting = choose_setting(content, sheet, (font, bold), (paper, ink), WIDEST - 24)
    left = rng.randint(8, max(8, min(60, (WIDEST - setting.width) // 2)))
    paged = not invoiced and content.chance(0.4)  # the table stands in running text
    if paged:
        column = min(WIDEST - left - 10, max(setting.width, rng.randint(300, 600)))
        before, after = content.one(((0, 3), (2, 3), (2, 0), (0, 6), (4, 4)))
        above = [*above, *_prose_lines(content, setting.font, column, before)]
        below = [*_prose_lines(content, setting.font, column, after), *below]
        if above and content.chance(0.2):  # the title stands below the table, as captions may
            above, below = above[1:], [above[0], *below]
    widest = max([setting.width, *[(setting.bold if a.bold else setting.font).width(a.text) for a in above + below]])
    width = content.snapped(max(224, left + widest + rng.randint(8, 30)), WIDEST)
    canvas = Canvas(min(WIDEST, width), HIGHEST, paper)
    y = _print_lines(canvas, above, setting, left, rng.randint(6, 30))
    if above:
        y += rng.randint(4, 20)
    y = print_sheet(canvas, sheet, setting, left, y) + rng.randint(6, 20)
    y = _print_lines(canvas, below, setting, left, y)
    facts = {line.key: Fact(line.answer, line.text) for line in (*above, *below) if line.key}
    empty = rng.randint(40, 400) if paged and content.chance(0.4) else rng.randint(2, 24)  # the rest of a sheet of paper
    height = content.snapped(min(HIGHEST, max(112, y + empty)), HIGHEST)
    return canvas, height, min(setting.font.x_height, setting.bold.x_height), Page(sheet, facts)


def _print_lines(canvas: Canvas, lines: list[Line], setting: Setting, left: int, y: int) -> int:
    for line in lines:
        font = setting.bold if line.bold else setting.font
        slack = max(0, setting.width - font.width(line.text))
        x = left + {"left": 0, "center": slack // 2, "right": slack}[line.align]
        canvas.write(x, y + font.ascent, line.text, font, setting.ink)
        y += int((font.ascent + font.descent) * 1.2) + 1
    return y
