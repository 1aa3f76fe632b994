"""Whole pages: letters, articles in a browser window, reports with tables, forms and invoices."""

from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Font
from kimi_vl.training.synth.content import Choice, Content, sized
from kimi_vl.training.synth.documents.forms import Form, absent_entry_turn, draw_entries, entry_turn, print_form
from kimi_vl.training.synth.documents.invoices import draw_invoice
from kimi_vl.training.synth.documents.lines import absent_field_turn, absent_word_turn, containing_turn, mention_turn
from kimi_vl.training.synth.documents.paragraphs import (
    Column,
    heading_font,
    passage,
    pitch_of,
    print_bullets,
    print_columns,
    print_heading,
    set_text,
    title,
)
from kimi_vl.training.synth.documents.receipt_turns import ReceiptTurns
from kimi_vl.training.synth.documents.tables import draw_table, print_table, table_turn
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Turn

HIGHEST = 896
LONGEST_READING = 1200  # characters of a page that are asked for at once; about 450 tokens
GREETING = Choice(("Dear {},", "Dear {}:", "Hello {},", "Hi {},"), ("To {}", "Good day {},"))
CLOSING = Choice(
    ("Sincerely,", "Best regards,", "Kind regards,", "Yours faithfully,", "With best wishes,"), ("Respectfully,", "Many thanks,")
)
SUBJECT = Choice(("Subject: {}", "Re: {}", "RE: {}"), ("Regarding {}", "About: {}"))
Maker = Callable[[Interview], Turn | None]


class Look(NamedTuple):
    """Body and heading fonts and the column of a page."""

    column: Column
    bold: Font
    head: Font


class Writer:
    """Fills one page from the top and collects what can be asked about it."""

    def __init__(self, content: Content, width: int, low: int = 12, high: int = 18) -> None:
        self.content, self.rng = content, content.rng
        paper, ink = content.colours(0.8)
        self.canvas = Canvas(width, HIGHEST, paper)
        face = content.face(("sans", "sans", "serif", "serif", "slab", "mono", "condensed"))
        body = content.font(face, low, high)
        bold = content.sibling(face, bold=True)
        margin = self.rng.randint(12, width // 9)
        align = content.one(("left", "left", "left", "justify"))
        column = Column(margin, width - margin, body, pitch_of(content, body), align, ink)
        self.look = Look(column, sized(bold, body.size), heading_font(content, body))
        self.bottom = HIGHEST - self.rng.randint(16, 40)
        self.y = float(self.rng.randint(12, 48))
        self.makers: list[Maker] = []

    def room(self) -> int:
        """Body lines that still fit."""
        return int((self.bottom - self.y) / self.look.column.pitch)

    def gap(self, low: float = 0.3, high: float = 1.2) -> None:
        self.y += self.look.column.pitch * self.rng.uniform(low, high)

    def heading(self, key: str = "title", text: str | None = None) -> None:
        column = self.look.column._replace(font=self.look.head, pitch=pitch_of(self.content, self.look.head))
        self.y, rows = print_heading(self.content, self.canvas, column, text or title(self.content), self.y)
        answer = " ".join(rows)
        self.makers.append(lambda interview: interview.lookup(key, answer, answer))

    def line(self, text: str, key: str = "", answer: str = "", *, bold: bool = False, right: bool = False) -> None:
        """One row; `answer` within it answers `key`."""
        column = self.look.column
        font = self.look.bold if bold else column.font
        x = column.right - font.width(text) if right else column.left
        self.canvas.write(x, int(self.y) + font.ascent, text, font, column.ink)
        self.y += column.pitch
        if key:
            self.makers.append(lambda interview: interview.lookup(key, answer or text, text))

    def prose(self, lines: int) -> None:
        """A paragraph of about `lines` lines."""
        column = self.look.column
        if self.room() < 2:
            return
        per_line = (column.right - column.left) / (column.font.width("seven ") or 1)
        words = passage(self.content, max(4, int(min(lines, self.room() - 1) * per_line * 0.8)))
        if len(words) * column.font.width("e") / (column.right - column.left) > self.room():
            return
        self.y, rows = set_text(self.canvas, column, words, self.y)
        text = "\n".join(rows)
        if len(text) < 500:
            self.makers.append(lambda interview: self._starting(interview, text))

    def _starting(self, interview: Interview, text: str) -> Turn | None:
        start = " ".join(text.split()[:3])
        if interview.text.count(text) != 1 or interview.text.replace("\n", " ").count(start) != 1:
            return None
        return interview.read(text, "passage", start=start)

    def entries(self, count: int) -> None:
        column = self.look.column
        drawn = draw_entries(self.content, min(count, self.room() // 2))
        if not drawn:
            return
        form = Form(
            self.content.one((self.look.bold, column.font)), column.font, column.left, column.right, column.pitch * 1.05, column.ink
        )
        self.y, printed = print_form(self.content, self.canvas, form, drawn, self.y)
        self.makers += [lambda interview: entry_turn(self.content, interview, printed)] * 4
        self.makers.append(lambda interview: absent_entry_turn(self.content, interview))

    def table(self) -> None:
        column = self.look.column
        rows = min(self.rng.randint(2, 8), int(self.room() / 1.7) - 1)
        if rows < 2:
            return
        table = draw_table(self.content, rows, self.rng.randint(2, 4))
        box = (column.left + 4, column.right, self.y)
        self.y = print_table(self.content, self.canvas, table, (column.font, self.look.bold), box, column.ink)
        self.makers += [lambda interview: table_turn(self.content, interview, table)] * 4

    def bullets(self) -> None:
        self.y, _ = print_bullets(self.content, self.canvas, self.look.column._replace(align="left"), self.y, self.bottom)

    def draft(self) -> Draft:
        """The page cut below its last row."""
        height = min(HIGHEST, max(224, int(self.y) + self.rng.randint(8, 40)))
        x_height = min(self.look.column.font.x_height, self.look.bold.x_height)
        return Draft(self.canvas, height, x_height, self.ask)

    def ask(self, interview: Interview) -> list[Turn]:
        """Three to six different turns."""
        rows = interview.text.split("\n")
        makers: list[Maker] = [
            *self.makers,
            lambda i: containing_turn(i, rows, self.content),
            lambda i: absent_word_turn(i, self.content),
            lambda i: mention_turn(i, rows, self.content),
            lambda i: absent_field_turn(i, self.content),
            lambda i: i.read(rows[0], "first", "line"),
            lambda i: i.read(rows[-1], "last", "line"),
            lambda i: i.foreign(),
        ]
        turns: list[Turn] = []
        if len(interview.text) <= LONGEST_READING and self.rng.random() < 0.45:
            turns.append(interview.read(interview.text))
        count = self.rng.randint(3, 6)
        for _ in range(20):
            turn = self.content.one(makers)(interview)
            if turn and turn.answer not in [t.answer for t in turns]:
                turns.append(turn)
            if len(turns) >= count:
                break
        return turns or [interview.foreign()]


def letter(content: Content) -> Draft:
    """Sender, date, recipient, subject, body, closing."""
    page = Writer(content, content.one((448, 504, 560, 616)))
    sender, recipient, date = content.person(), content.person(), content.date()
    right = content.chance(0.3)
    page.line(sender, "sender", bold=content.chance(0.5), right=right)
    for _ in range(content.rng.randint(0, 2)):
        page.line(content.one((content.street, content.place, content.phone, content.email))(), right=right)
    page.gap()
    page.line(content.one(("{}", "Date: {}", "{}")).format(date), "date", date, right=content.chance(0.4))
    page.gap()
    if content.chance(0.6):
        page.line(recipient, "recipient")
        page.line(content.street())
        page.line(content.place())
        page.gap()
    if content.chance(0.7):
        about = title(content)
        page.line(str(SUBJECT.pick(content.rng, content.split)).format(about), "subject", about, bold=content.chance(0.6))
        page.gap()
    page.line(str(GREETING.pick(content.rng, content.split)).format(recipient))
    page.gap()
    for _ in range(content.rng.choice((1, 2, 2, 3, 5))):
        page.prose(content.rng.randint(2, 7))
        page.gap()
    if page.room() > 4:
        page.line(str(CLOSING.pick(content.rng, content.split)))
        page.gap(0.5, 2)
        page.line(sender)
    return page.draft()


def article(content: Content) -> Draft:
    """A web page: perhaps the window's bar with an address, a heading, text, sub-headings, a list or a table."""
    page = Writer(content, content.one((448, 560, 616, 672)))
    if content.chance(0.5):
        address_bar(page)
    page.heading()
    if content.chance(0.3):
        author = content.person()
        page.line(content.one(("By {}", "by {}", "Written by {}")).format(author), "author", author)
        page.gap()
    for _ in range(content.rng.choice((1, 2, 3, 4, 5, 9))):
        if page.room() < 4:
            break
        draw = content.rng.random()
        if draw < 0.55:
            page.prose(content.rng.randint(2, 8))
        elif draw < 0.7:
            page.bullets()
        elif draw < 0.85:
            page.table()
        else:
            page.line(title(content), bold=True)
            page.prose(content.rng.randint(2, 5))
        page.gap()
    return page.draft()


def address_bar(page: Writer) -> None:
    """A tab and a field with the page's address, above everything else."""
    content, canvas, font = page.content, page.canvas, page.look.column.font
    grey = content.rng.randint(190, 240)
    bar, field, ink = (grey, grey, grey), (250, 250, 250), (content.rng.randint(0, 80),) * 3
    high = font.ascent + font.descent + 10
    canvas.fill(0, 0, canvas.width, high + 8, bar)
    for k, colour in enumerate(((237, 106, 94), (245, 191, 79), (98, 197, 84))):
        canvas.fill(8 + 14 * k, high // 2, 17 + 14 * k, high // 2 + 9, colour)
    left = content.rng.randint(56, 96)
    canvas.fill(left, 4, canvas.width - 16, 4 + high, field)
    address = f"{content.one(('https://', 'http://', ''))}{content.site()}/{content.word().lower()}"
    canvas.write(left + 8, 4 + 5 + font.ascent, address, font, ink, paper=field)
    page.makers.append(lambda interview: interview.lookup("url", address, address))
    page.y = high + 8 + content.rng.randint(8, 30)


def report(content: Content) -> Draft:
    """A page of a document: heading, text, a table or particulars, the page's number at the foot."""
    page = Writer(content, content.one((448, 560, 616, 672)))
    if content.chance(0.8):
        page.heading()
    if content.chance(0.4):
        page.prose(content.rng.randint(2, 6))
        page.gap()
    if content.chance(0.6):
        page.table()
        page.gap()
    if content.chance(0.5):
        page.entries(content.rng.randint(2, 7))
        page.gap()
    if content.chance(0.25) and page.room() > 6:
        page.y, _ = print_columns(content, page.canvas, page.look.column._replace(align="left"), page.y)
        page.gap()
    if content.chance(0.5):
        page.prose(content.rng.randint(2, 6))
        page.gap()
    if content.chance(0.5) and page.room() > 2:
        number = str(content.rng.randint(1, 400))
        text = content.one(("{}", "Page {}", "- {} -", "page {}", "{}")).format(number)
        column = page.look.column
        x = content.one((column.left, (page.canvas.width - column.font.width(text)) // 2, column.right - column.font.width(text)))
        page.canvas.write(x, int(page.y) + column.font.ascent, text, column.font, column.ink)
        page.y += column.pitch
        page.makers.append(lambda interview: interview.lookup("page_number", number, text))
    return page.draft()


def form(content: Content) -> Draft:
    """A form, ticket or data sheet."""
    page = Writer(content, content.one((448, 504, 560)), 13, 20)
    page.heading()
    page.entries(content.rng.randint(3, 12))
    if content.chance(0.4):
        page.gap()
        page.prose(content.rng.randint(1, 3))
    return page.draft()


def invoice(content: Content) -> Draft:
    """An invoice, asked about like a receipt."""
    canvas, height, x_height, bill = draw_invoice(content, content.one((504, 560, 616, 672)), HIGHEST)

    def ask(interview: Interview) -> list[Turn]:
        turns = ReceiptTurns(content, interview, bill).draw(content.rng.randint(3, 6))
        return [interview.read(interview.text), *turns[:5]] if content.chance(0.4) else turns

    return Draft(canvas, height, x_height, ask)


def page(content: Content) -> Draft:
    """One of the kinds of page, 448 to 672 pixels wide and at most 896 high. Raises Overfull."""
    draw = content.rng.random()
    for share, kind in ((0.28, article), (0.48, report), (0.66, letter), (0.84, form)):
        if draw < share:
            return kind(content)
    return invoice(content)
