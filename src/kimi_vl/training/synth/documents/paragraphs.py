"""A block of running text: wrapped, aligned, perhaps with a heading, bullets or two columns."""

from collections.abc import Callable
from string import capwords
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Content, sized
from kimi_vl.training.synth.documents.lines import line_turns
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Overfull, Turn

TALLEST = 448
CASES: tuple[Callable[[str], str], ...] = (capwords, str.upper, str.capitalize, capwords)


def wrap(text: str, font: Font, width: int) -> list[list[str]]:
    """Words of `text` by line. Raises Overfull when a single word is wider than `width`."""
    rows: list[list[str]] = [[]]
    room, space = width, font.width(" ")
    for word in text.split():
        needed = font.width(word)
        if needed > width:
            raise Overfull(f"{word!r} is {needed} pixels wide, the column {width}")
        if rows[-1] and needed > room:
            rows.append([])
            room = width
        rows[-1].append(word)
        room -= needed + space
    return rows


class Column(NamedTuple):
    """Where and how running text is set."""

    left: int
    right: int
    font: Font
    pitch: float
    align: str
    ink: Colour
    paper: Colour | None = None


def set_text(canvas: Canvas, column: Column, text: str, top: float, *, indent: int = 0) -> tuple[float, list[str]]:
    """Print `text` wrapped from `top` down; returns the y below and the rows. Raises Overfull at the canvas' end."""
    font = column.font
    width = column.right - column.left - indent
    rows = wrap(text, font, width)
    y = top
    for k, words in enumerate(rows):
        baseline = int(y) + font.ascent
        x = column.left + indent
        slack = width - font.width(" ".join(words))
        if column.align == "justify" and k < len(rows) - 1 and len(words) > 2 and slack < width * 0.35:
            _set_justified(canvas, column, words, x, baseline, slack)
        else:
            x += {"center": slack // 2, "right": slack}.get(column.align, 0)
            canvas.write(x, baseline, " ".join(words), font, column.ink, paper=column.paper)
        y += column.pitch
    return y, [" ".join(words) for words in rows]


def _set_justified(canvas: Canvas, column: Column, words: list[str], x: int, baseline: int, slack: int) -> None:
    gaps = len(words) - 1
    space = column.font.width(" ")
    for k, word in enumerate(words):
        extra = slack * (k + 1) // gaps - slack * k // gaps
        x = canvas.write(x, baseline, word, column.font, column.ink, paper=column.paper, same_row=k > 0) + space + extra


def pitch_of(content: Content, font: Font) -> float:
    """Distance between baselines, 1.08 to 1.7 times the height of the font."""
    return (font.ascent + font.descent) * content.one((1.08, 1.15, 1.2, 1.3, 1.4, 1.5, 1.7))


def heading_font(content: Content, body: Font) -> Font:
    """A bold, bigger or other font to go above `body`."""
    face = content.sibling(body.face, bold=True) if content.chance(0.75) else content.face()
    return sized(face, body.size * content.rng.uniform(1.0, 2.2))


def passage(content: Content, words: int) -> str:
    """Prose of at least one sentence, cut after about `words` words."""
    text = content.prose()
    while text.count(" ") + 1 < words and content.chance(0.8):
        text += " " + content.prose()
    kept = text.split(" ")[:words]
    if content.chance(0.3):
        k = content.rng.randrange(len(kept))
        money = content.money()
        kept[k] = content.one((content.date, content.code, lambda: money.full(content.cents()), content.time, content.email))()
    return " ".join(kept)


def title(content: Content) -> str:
    """A few words fit for a heading."""
    text = content.fragment(content.rng.randint(1, 5)).strip(" ,;:.-") if content.chance(0.6) else content.words(content.rng.randint(1, 4))
    return content.one(CASES)(text or content.word())


def paragraph(content: Content) -> Draft:
    """A block of 3 to 14 lines on at most 448x448."""
    rng = content.rng
    font = content.font(content.face(), 12, 24)
    paper, ink = content.colours(0.7)
    width = rng.choice((448, 448, 448, 420, 392, 336, 280))
    canvas = Canvas(width, TALLEST, paper)
    margin = rng.randint(6, 32)
    column = Column(
        margin, width - margin, font, pitch_of(content, font), rng.choice(("left", "left", "left", "justify", "center", "right")), ink
    )
    y = float(rng.randint(4, 24))
    head = None
    if content.chance(0.35):
        top = heading_font(content, font)
        head = title(content)
        y, rows = print_heading(content, canvas, column._replace(font=top, pitch=pitch_of(content, top)), head, y)
        head = " ".join(rows)
    kind = rng.random()
    if kind < 0.14:
        y, rows = print_bullets(content, canvas, column._replace(align="left"), y, TALLEST - 4)
    elif kind < 0.22 and width >= 420:
        y, rows = print_columns(content, canvas, column._replace(align="left"), y)
    else:
        y, rows = _body(content, canvas, column, y)
    height = min(TALLEST, max(56, int(y) + rng.randint(2, 20)))

    def ask(interview: Interview) -> list[Turn]:
        turns = line_turns(interview, interview.text.split("\n"), content)
        if head is not None and rng.random() < 0.8:
            turns.append(interview.lookup("title", head, head, "field"))
        if rng.random() < 0.15:
            turns.append(interview.foreign())
        return turns

    return Draft(canvas, height, font.x_height, ask)


def print_heading(content: Content, canvas: Canvas, column: Column, text: str, y: float) -> tuple[float, list[str]]:
    if content.chance(0.2):
        count = len(wrap(text, column.font, column.right - column.left))
        bar, ink = content.colours()
        canvas.fill(0, int(y) - 3, canvas.width, int(y + column.pitch * count) + 2, bar)
        column = column._replace(paper=bar, ink=ink)
    y, rows = set_text(canvas, column._replace(align=content.one(("left", "left", "center", column.align))), text, y)
    if content.chance(0.15):
        canvas.fill(
            column.left, int(y), column.right, int(y) + content.rng.randint(1, 2), column.ink if column.paper is None else canvas.paper
        )
    return y + content.rng.randint(4, 14), rows


def _room(canvas: Canvas, column: Column, y: float) -> int:
    return int((canvas.height - 4 - y) / column.pitch)


def _body(content: Content, canvas: Canvas, column: Column, y: float) -> tuple[float, list[str]]:
    """One or two paragraphs that together fill 3 to 14 lines."""
    count = min(content.rng.randint(3, 14), _room(canvas, column, y))
    if count < 2:
        raise Overfull("no room for a paragraph")
    per_line = max(1, (column.right - column.left) // (column.font.width("nineteen ") * 7 // 10))
    parts = 2 if count > 6 and content.chance(0.4) else 1
    printed: list[str] = []
    for _ in range(parts):
        text = passage(content, max(3, count * per_line // parts))
        fits = wrap(text, column.font, column.right - column.left - 4)[: max(1, count // parts)]
        indent_text = " ".join(" ".join(words) for words in fits)
        y, rows = set_text(canvas, column, indent_text, y)
        printed += rows
        y += column.pitch * content.one((0.0, 0.3, 0.5, 0.8))
    return y, printed


def print_bullets(content: Content, canvas: Canvas, column: Column, y: float, bottom: int) -> tuple[float, list[str]]:
    """A list; the marks are read when they are characters and not when they are drawn."""
    rng, font = content.rng, column.font
    style = rng.choice(("-", "*", "1.", "1)", "a)", "square", "square"))
    printed: list[str] = []
    for k in range(rng.randint(2, 6)):
        if y + 2 * column.pitch > bottom:
            break
        mark = {"1.": f"{k + 1}.", "1)": f"{k + 1})", "a)": f"{chr(97 + k)})"}.get(style, style)
        text = passage(content, rng.randint(1, 9))
        if style == "square":
            size = max(3, int(font.x_height * 0.5))
            middle = int(y) + font.ascent - int(font.x_height / 2)
            canvas.fill(column.left, middle - size // 2, column.left + size, middle - size // 2 + size, column.ink)
            y, rows = set_text(canvas, column, text, y, indent=font.size)
        else:
            y, rows = set_text(canvas, column, f"{mark} {text}", y)
        printed += rows
        y += rng.choice((0, 0, 3, 6))
    return y, printed


def print_columns(content: Content, canvas: Canvas, column: Column, y: float) -> tuple[float, list[str]]:
    """Two short columns, read one after the other."""
    middle = (column.left + column.right) // 2
    gap = content.rng.randint(8, 14)
    count = min(content.rng.randint(3, 9), _room(canvas, column, y))
    if count < 2:
        raise Overfull("no room for columns")
    lowest = y
    printed: list[str] = []
    for left, right in ((column.left, middle - gap), (middle + gap, column.right)):
        narrow = column._replace(left=left, right=right)
        fits = wrap(passage(content, 60), column.font, right - left)[:count]
        below, rows = set_text(canvas, narrow, " ".join(" ".join(words) for words in fits), y)
        printed += rows
        lowest = max(lowest, below)
    return lowest, printed
