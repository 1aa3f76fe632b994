"""Papers of offices: invoices, offers, delivery notes, accounts, pay, timetables, price lists, each put together from bands.

Pieces marked as held out appear in split "test" only.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.bands import (
    BESIDE,
    STYLES,
    Band,
    Block,
    Line,
    choose_look,
    set_fields,
    set_lines,
    set_side_by_side,
)
from kimi_vl.training.synth.documents.extraction_turns import Good
from kimi_vl.training.synth.documents.goods import ORDERS, PRICED, SHIPPED, draw_account, draw_goods, draw_pay, draw_timetable
from kimi_vl.training.synth.documents.habits import Habits
from kimi_vl.training.synth.documents.ornaments import barcode, logo
from kimi_vl.training.synth.documents.paper_turns import LONGEST_READING, Paper, PaperTurns
from kimi_vl.training.synth.documents.paragraphs import Column, passage, set_text
from kimi_vl.training.synth.documents.particulars import KINDS, Particular, draw_particulars
from kimi_vl.training.synth.documents.receipts import Fact, choose_money
from kimi_vl.training.synth.documents.rulings import choose_setting, print_sheet, styled
from kimi_vl.training.synth.documents.sheets import Sheet, pick
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Overfull, Turn

HIGHEST = 896
SUBTOTALS = Choice(
    ("Subtotal", "Sub-total", "Net total", "Net amount", "SUBTOTAL", "Total net", "Total excl. VAT", "Net"),
    ("Worth of goods", "Sum before duty"),
)
TAXES = Choice(
    ("VAT {rate}%", "Tax {rate}%", "VAT", "Tax", "Sales tax", "GST {rate}%", "{rate}% VAT", "VAT ({rate}%)", "Tax ({rate} %)", "HST"),
    ("Duty {rate}%", "Levy"),
)
TOTALS = Choice(
    (
        "Total",
        "TOTAL",
        "Total due",
        "Amount due",
        "Balance due",
        "Grand total",
        "Total amount",
        "Invoice total",
        "Total incl. VAT",
        "Gross total",
        "Due",
    ),
    ("Comes to", "All in all"),
)
DISCOUNTS = Choice(("Discount", "Discount {rate}%", "Less {rate}%", "{rate}% off", "Customer discount"), ("Allowance", "Reduction"))
SHIPPING = Choice(("Shipping", "Delivery", "Freight", "Postage", "Shipping and handling", "Delivery charge"), ("Cartage", "Haulage"))
THANKS = Choice(
    (
        "Thank you for your business.",
        "Payment within 30 days.",
        "Please pay within 14 days.",
        "Goods remain our property until paid.",
        "We appreciate your order.",
        "Please quote the number above.",
        "All prices in local currency.",
        "This paper is valid without signature.",
        "Questions? Please contact us.",
        "Errors and omissions excepted.",
        "Please check the goods on arrival.",
    ),
    ("Kindly settle in time.", "Our conditions of trade apply."),
)
BARS = Choice(
    ("Details", "Summary", "Payment details", "Order details", "Items", "Information", "Particulars"), ("At a glance", "In detail")
)


class Recipe(NamedTuple):
    """What a paper is made of: its titles, the particulars of its head and foot, whom it names, and its table."""

    titles: Choice
    head: tuple[str, ...]
    parties: tuple[str, ...]
    table: str  # goods, shipped, account, timetable, pay, prices or ""
    foot: tuple[str, ...] = ()


RECIPES: dict[str, Recipe] = {
    "invoice": Recipe(
        Choice(
            ("Invoice", "INVOICE", "Invoice", "Tax invoice", "Bill", "Sales invoice", "Commercial invoice", "Service invoice"),
            ("Account rendered", "Demand note"),
        ),
        ("number", "date", "due", "customer no", "order no", "terms", "clerk", "tax no", "ship date", "reference"),
        ("customer", "recipient"),
        "goods",
        ("bank", "iban", "bic", "reference", "terms"),
    ),
    "offer": Recipe(
        Choice(("Quotation", "Quote", "Estimate", "Offer", "Order confirmation", "Purchase order", "Sales order"), ("Tender", "Bid")),
        ("date", "valid", "order no", "customer no", "clerk", "terms", "ship date", "reference"),
        ("customer", "recipient"),
        "goods",
        ("terms", "carrier"),
    ),
    "delivery": Recipe(
        Choice(
            ("Delivery note", "Packing list", "Dispatch note", "DELIVERY NOTE", "Shipping list", "Goods note"), ("Waybill", "Consignment")
        ),
        ("date", "order no", "ship date", "carrier", "tracking", "weight", "packages", "customer no"),
        ("sender", "recipient"),
        "shipped",
        ("weight", "packages"),
    ),
    "account": Recipe(
        Choice(
            ("Account summary", "Account activity", "Transactions", "Bank account", "Account history", "Ledger"),
            ("Passbook", "Bank extract"),
        ),
        ("customer", "iban", "bic", "date", "period", "customer no"),
        (),
        "account",
    ),
    "pay": Recipe(
        Choice(("Payslip", "Pay advice", "Salary", "Pay summary"), ("Wage sheet", "Earnings")),
        ("name", "department", "id no", "period", "date", "job", "bank"),
        (),
        "pay",
        ("iban", "bank"),
    ),
    "letter": Recipe(
        Choice(
            ("Reminder", "Notice", "Confirmation", "Cancellation", "Invitation", "Complaint", "Second reminder", "Memo"),
            ("Summons", "Circular"),
        ),
        ("date", "reference", "customer no", "order no", "clerk", "subject"),
        ("recipient",),
        "",
        ("due", "iban", "bank"),
    ),
    "timetable": Recipe(
        Choice(("Timetable", "Departures", "Schedule", "Bus times", "Train times"), ("Line plan", "Runs")),
        ("valid", "platform"),
        (),
        "timetable",
    ),
    "prices": Recipe(
        Choice(("Price list", "Menu", "Our prices", "Services", "PRICES", "Today"), ("Tariff card", "Fare list")),
        ("phone", "valid", "web"),
        (),
        "prices",
    ),
}


GREETINGS = Choice(("Dear {},", "Dear {}:", "Hello {},", "Dear Sir or Madam,", "To whom it may concern,"), ("Good morning {},",))
CLOSINGS = Choice(("Sincerely,", "Best regards,", "Kind regards,", "Yours faithfully,", "Regards,", "Yours truly,"), ("With respect,",))


class Composer:
    """Fills one canvas from the top, band by band, and remembers the facts."""

    def __init__(self, content: Content, width: int, highest: int, sizes: tuple[int, int], white: float = 0.8) -> None:
        self.content, self.rng = content, content.rng
        self.look, paper = choose_look(content, *sizes, white)
        self.canvas = Canvas(width, highest, paper)
        self.money = choose_money(content, self.look.fonts.plain)
        self.habits = Habits(content, self.money)
        self.notation = Notation(
            2,
            self.money.decimal,
            self.money.group,
            "" if self.money.after else self.money.symbol,
            f" {self.money.symbol}" if self.money.symbol and self.money.after else "",
        )
        margin = self.rng.randint(10, max(12, width // 12))
        self.left, self.right = margin, width - margin
        self.pitch = self.look.fonts.pitch * self.rng.uniform(1.02, 1.35)
        self.y = float(self.rng.randint(8, 36))
        self.paper = Paper()

    def gap(self, low: float = 0.2, high: float = 1.4) -> None:
        self.y += self.pitch * self.rng.uniform(low, high)

    def band(self, *blocks: Block, left: int = 0, right: int = 0) -> None:
        """Set blocks beside one another and print them."""
        band = Band(self.canvas, self.look, self.y, self.pitch)
        left, right = left or self.left, right or self.right
        end = blocks[0](band, left, right, 0) if len(blocks) == 1 else set_side_by_side(self.content, band, blocks, left, right)
        kinds = [particular.kind for particular, _, _ in band.particulars]
        for kind, entry in zip(kinds, band.print(), strict=True):
            self.paper.entries.append((kind, entry))
            if KINDS[kind].key:
                self.paper.facts.setdefault(KINDS[kind].key, Fact(entry.value, entry.row))
        self.y += end * self.pitch

    def note(self, key: str, text: str) -> None:
        """Remember that a text printed by itself answers `key`."""
        self.paper.facts[key] = Fact(text, text)

    def particulars(self, kinds: Sequence[str], low: int, high: int) -> list[Particular]:
        """Some of `kinds`, none of which the paper has yet, in any order."""
        free = [kind for kind in kinds if kind not in self.paper.kinds]
        count = min(len(free), self.rng.randint(low, high))
        return draw_particulars(self.habits, self.rng.sample(free, count))

    def bar(self, text: str, weight: str = "bold") -> None:
        """A heading on a bar across the page."""
        font = getattr(self.look.fonts, weight)
        ground, ink = self.look.accent
        high = font.ascent + font.descent + self.rng.randint(4, 12)
        x = self.left + 6 if self.content.chance(0.7) else (self.left + self.right - font.width(text)) // 2
        left, right = (0, self.canvas.width) if self.content.chance(0.3) else (self.left, self.right)
        self.canvas.fill(left, int(self.y), right, int(self.y) + high, ground)
        self.canvas.write(max(x, left + 4), int(self.y) + (high + font.ascent - font.descent) // 2, text, font, ink, paper=ground)
        self.y += high + 4

    def rule(self) -> None:
        self.canvas.fill(self.left, int(self.y), self.right, int(self.y) + self.rng.randint(1, 3), self.look.line)
        self.y += 6

    def fields(self, particulars: list[Particular]) -> None:
        """A block of particulars across the page, or in half of it."""
        if particulars:
            style = pick(self.content, STYLES)
            columns = self.rng.choice((2, 3, 3, 4)) if style != "table" else min(len(particulars), self.rng.randint(2, 5))
            narrow = style in ("inline", "aligned", "boxed rows", "chips", "braces") and self.content.chance(0.4)
            right = (self.left + self.right) * 3 // 5 if narrow else self.right
            self.band(set_fields(self.content, particulars, style, columns), right=right)

    def table(self, sheet: Sheet) -> None:
        """A ruled table, often across the whole page."""
        fonts, look = self.look.fonts, self.look
        sheet = styled(self.content, sheet)
        setting = choose_setting(self.content, sheet, (fonts.plain, fonts.bold), (look.paper, look.ink), self.right - self.left)
        if self.content.chance(0.6):
            spare = self.right - self.left - setting.width
            share = [spare // len(setting.widths)] * len(setting.widths)
            if self.content.chance(0.6):
                share = [spare if k == sheet.key else 0 for k in range(len(share))]
            setting = setting._replace(widths=tuple(w + s for w, s in zip(setting.widths, share, strict=True)))
        if int(self.y) + setting.high * (len(sheet.rows) + 2) > self.canvas.height:
            raise Overfull("the table is too long")
        self.y = print_sheet(self.canvas, sheet, setting, self.left, int(self.y)) + 2
        self.paper.sheet = sheet

    def amounts(self, rows: list[tuple[str, str, str]]) -> None:
        """Labels with amounts (key, label, amount), in the right or the left part; the last one may be heavier."""
        content, fonts = self.content, self.look.fonts
        wide = max(fonts.bold.width(label) + fonts.bold.width(amount) for _, label, amount in rows) + self.rng.randint(24, 90)
        wide = min(self.right - self.left, max(wide, int((self.right - self.left) * self.rng.uniform(0.3, 0.6))))
        left = self.left if content.chance(0.2) else self.right - wide
        mark, heavy, barred, ruled = content.one(("", "", ":")), content.chance(0.7), content.chance(0.25), content.chance(0.5)
        band = Band(self.canvas, self.look, self.y + 3, self.pitch)
        for k, (key, label, amount) in enumerate(rows):
            last = k == len(rows) - 1
            font, (ground, ink) = fonts.bold if last and heavy else fonts.plain, (self.canvas.paper, self.look.ink)
            if last and barred:
                ground, ink = self.look.accent
                self.canvas.fill(left - 4, band.y(k) - 2, left + wide, band.y(k) + font.ascent + font.descent + 2, ground)
            elif last and ruled and k:
                self.canvas.fill(left, band.y(k) - 1, left + wide, band.y(k), self.look.line)
            band.put(k, left, label + mark, font, ink, ground)
            band.put(k, left + wide - font.width(amount) - 2, amount, font, ink, ground)
            self.paper.facts[key] = Fact(amount, f"{label}{mark} {amount}")
        band.print()
        self.y += self.pitch * len(rows) + 6

    def draft(self, ask: Callable[[Interview, Paper], list[Turn]]) -> Draft:
        """The paper cut below its last row."""
        fonts = self.look.fonts
        height = self.content.snapped(max(112, int(self.y) + self.rng.randint(4, 30)), self.canvas.height)
        x_height = min(font.x_height for font in fonts)
        return Draft(self.canvas, height, x_height, lambda interview: ask(interview, self.paper))


def stacked(*blocks: Block) -> Block:
    """Blocks below one another."""

    def block(band: Band, left: int, right: int, row: float) -> float:
        for inner in blocks:
            row = inner(band, left, right, row)
        return row

    return block


def set_party(content: Content, habits: Habits, kind: str) -> Block:
    """Somebody's name below a heading, with where they live."""
    found = draw_particulars(habits, [kind])[0]
    heading = found.label + content.one(("", ":", ""))
    weight = content.one(("bold", "small", "plain"))
    more = [content.street(), content.place()][: content.rng.choice((0, 1, 2, 2))]
    if content.chance(0.2):
        more.append(content.email())

    def block(band: Band, left: int, right: int, row: float) -> float:
        fonts = band.look.fonts
        label = band.put(row, left, heading, getattr(fonts, weight), band.look.faded)
        value = band.put(row + 1, left, found.value, fonts.bold if weight == "small" else fonts.plain)
        band.particulars.append((found, label, value))
        row += 2
        if max(piece.x + piece.font.width(piece.text) for piece in (label, value)) > right:
            raise Overfull("a party is wider than its column")
        return set_lines(content, [Line(text) for text in more])(band, left, right, row)

    return block


def letterhead(paper: Composer, title: str, head: list[Particular]) -> None:
    """Who writes, what it is, and the particulars of it: below one another, in columns, or on a bar."""
    content = paper.content
    company, contact = _sender(paper, with_phone=all(p.kind != "phone" for p in head))
    name, what = Line(company, content.one(("big", "big", "bold", "plain"))), Line(title, content.one(("big", "big", "bold")))
    fields = set_fields(content, head, pick(content, BESIDE)) if head else None
    aside = content.one(("left", "left", "right"))
    blocks: list[Block]
    draw = paper.rng.random()
    if draw < 0.12:
        _marked(paper)
    if draw < 0.3:  # one below the other
        align = content.one(("left", "left", "center"))
        order = [[name, *contact], [what]]
        if content.chance(0.3):
            order.reverse()
        for lines in order:
            paper.band(set_lines(content, lines, align))
            paper.gap(0, 0.8)
        paper.fields(head)
    elif draw < 0.55:  # company and title in two columns, particulars below the title or across
        below = fields is not None and content.chance(0.6)
        other = set_lines(content, [what], aside) if not below or fields is None else stacked(set_lines(content, [what]), fields)
        blocks = [set_lines(content, [name, *contact]), other]
        if content.chance(0.3):
            blocks.reverse()
        paper.band(*blocks)
        if not below:
            paper.gap(0.2, 0.8)
            paper.fields(head)
    elif draw < 0.7:  # the title on a bar
        titled = content.chance(0.65)
        paper.bar(title if titled else company, content.one(("bold", "big")))
        paper.gap(0.1, 0.6)
        lines = [name if titled else what, *contact]
        paper.band(set_lines(content, lines), fields) if fields else paper.band(set_lines(content, lines))
    elif draw < 0.85:  # title, then company and particulars in two columns
        paper.band(set_lines(content, [what], content.one(("left", "center", "left"))))
        paper.gap(0, 0.7)
        if content.chance(0.4):
            paper.rule()
        blocks = [set_lines(content, [name, *contact]), *([fields] if fields else [])]
        paper.band(*blocks)
    else:  # three columns
        parts = [set_lines(content, [name]), set_lines(content, contact or [Line(content.site())]), set_lines(content, [what], aside)]
        if content.chance(0.4):
            parts = [parts[2], parts[0], parts[1]]
        paper.band(*parts)
        paper.gap(0.2, 0.9)
        paper.fields(head)
    paper.note("shop", company)
    paper.note("title", title)


def _sender(paper: Composer, *, with_phone: bool) -> tuple[str, list[Line]]:
    """A company, and how it can be reached; none of this has a label, so it must not be called absent."""
    content = paper.content
    company = content.company()
    if content.chance(0.25):
        company = company.upper()
    contact = [content.street(), content.place()][: paper.rng.choice((0, 1, 2, 2))]
    if with_phone and content.chance(0.5):
        phone = content.phone()
        contact.append(content.one(("{}", "Tel. {}", "Phone {}", "Tel: {}", "Phone: {}")).format(phone))
        paper.paper.facts["phone"] = Fact(phone, contact[-1])
    contact += [make() for make in (content.email, content.site) if content.chance(0.25)]
    if content.chance(0.2) and len(contact) > 1:
        contact = [content.one((", ", " - ", " | ", " * ")).join(contact)]
    paper.paper.unlabelled.update(("street", "town", "phone", "email", "web", "name"))
    small = content.one(("plain", "small"))
    return company, [Line(text, small) for text in contact]


def _marked(paper: Composer) -> None:
    """A logo above everything."""
    size = paper.rng.randint(20, 46)
    logo(
        paper.content,
        paper.canvas,
        paper.rng.choice((paper.left + size, paper.canvas.width // 2, paper.right - size)),
        int(paper.y),
        size,
        paper.look.ink,
    )
    paper.y += size + 6


def draw_paper(content: Content, kind: str) -> Composer:
    """A paper of one kind with everything on it. Raises Overfull."""
    rng, recipe = content.rng, RECIPES[kind]
    paper = Composer(content, rng.choice((448, 504, 560, 616, 616, 672, 672)), HIGHEST, (12, 17))
    head = paper.particulars(recipe.head, 1 if recipe.parties else 0, min(len(recipe.head), 6))
    if kind == "invoice" and content.chance(0.9):
        head = [p for p in head if p.kind not in ("number", "date")] + draw_particulars(paper.habits, ["number", "date"])
        rng.shuffle(head)
        head = distinct(head)
    letterhead(paper, pick(content, recipe.titles), head)
    paper.gap()
    _parties(paper, recipe)
    if content.chance(0.2):
        paper.bar(pick(content, BARS))
    if content.chance(0.12) and paper.rng.random() < 0.5:
        paper.rule()
    if recipe.table:
        _table(paper, recipe)
    else:
        _body(paper)
    if recipe.foot and content.chance(0.5):
        paper.gap(0.2, 1.0)
        if content.chance(0.25):
            paper.bar(pick(content, BARS))
        paper.fields(paper.particulars(recipe.foot, 1, 4))
    _close(paper)
    return paper


def distinct(particulars: list[Particular]) -> list[Particular]:
    """Without those whose label stands there already."""
    seen, kept = set[str](), list[Particular]()
    for p in particulars:
        if p.label.casefold() not in seen:
            seen.add(p.label.casefold())
            kept.append(p)
    return kept


def _parties(paper: Composer, recipe: Recipe) -> None:
    content = paper.content
    parties = [kind for kind in recipe.parties if kind not in paper.paper.kinds and content.chance(0.7)]
    if not parties:
        return
    blocks = [set_party(content, paper.habits, kind) for kind in parties]
    if len(blocks) == 1 and content.chance(0.4):
        more = paper.particulars(recipe.head, 1, 3)
        if more:
            blocks.append(set_fields(content, more, pick(content, BESIDE)))
            if content.chance(0.4):
                blocks.reverse()
    paper.band(*blocks)
    if "customer" in paper.paper.facts:
        paper.paper.facts.pop("recipient", None)  # "To whom is it addressed?" would be asked of both
    paper.gap()


def _table(paper: Composer, recipe: Recipe) -> None:
    """The table and the amounts below it."""
    content, money = paper.content, paper.notation
    if recipe.table in ("goods", "shipped", "prices"):
        sheet = draw_goods(content, money, {"goods": ORDERS, "shipped": SHIPPED, "prices": PRICED}[recipe.table])
    elif recipe.table == "account":
        sheet = draw_account(content, money, paper.habits)
    elif recipe.table == "pay":
        sheet = draw_pay(content, money)
    else:
        sheet = draw_timetable(content)
    paper.table(sheet)
    if recipe.table not in ("goods", "prices", "pay"):
        return
    assert paper.paper.sheet is not None
    sums = [k for k, c in enumerate(sheet.columns) if c.kind == "money"]
    counts = [c for c in sheet.columns if c.kind == "integer"]
    goods = []
    for k, row in enumerate(sheet.rows):
        goods.append((Good(sheet.names[k], row[sums[-1]], counts[0].cells[k] if counts else ""), " ".join(row)))
    paper.paper.goods = goods if recipe.table != "pay" else []
    if recipe.table == "goods" and content.chance(0.88):
        paper.gap(0.1, 0.6)
        paper.amounts(_sums(paper, sum(sheet.columns[sums[-1]].values)))


def _body(paper: Composer) -> None:
    """The text of a letter, with its greeting and closing."""
    content, look = paper.content, paper.look
    column = Column(paper.left, paper.right, look.fonts.plain, paper.pitch, content.one(("left", "left", "justify")), look.ink)
    to = paper.paper.facts.get("recipient")
    paper.band(set_lines(content, [Line(pick(content, GREETINGS).format(to.answer if to else content.person()))]))
    for _ in range(paper.rng.randint(1, 3)):
        paper.gap(0.2, 0.8)
        paper.y, _ = set_text(paper.canvas, column, passage(content, paper.rng.randint(10, 50)), paper.y)
    paper.gap(0.3, 1.0)
    paper.band(set_lines(content, [Line(pick(content, CLOSINGS)), Line(content.person())]))


def _sums(paper: Composer, net: int) -> list[tuple[str, str, str]]:
    """Net, discount, shipping, tax and total, as far as they are printed; they add up."""
    content, full = paper.content, paper.notation.full
    rate, cut = content.one((5, 7, 8, 10, 19, 20, 21)), content.one((2, 3, 5, 10))
    rows, total = [], net
    if content.chance(0.6):
        rows.append(("subtotal", pick(content, SUBTOTALS), full(net)))
        if content.chance(0.2):
            less = net * cut // 100
            printed = content.one((full(-less), f"{full(less)}-")) if not paper.notation.suffix else full(-less)
            rows.append(("discount", pick(content, DISCOUNTS).replace("{rate}", str(cut)), printed))
            total -= less
        if content.chance(0.2):
            freight = content.cents()
            rows.append(("shipping", pick(content, SHIPPING), full(freight)))
            total += freight
        if content.chance(0.7):
            tax = (total * rate + 50) // 100
            rows.append(("tax", pick(content, TAXES).replace("{rate}", str(rate)), full(tax)))
            total += tax
    rows.append(("total", pick(content, TOTALS), full(total)))
    if len({label for _, label, _ in rows}) < len(rows):
        raise Overfull("two amounts have one label")
    return rows


def _close(paper: Composer) -> None:
    """Small print, a place to sign, a bar code."""
    content, fonts = paper.content, paper.look.fonts
    said = dict.fromkeys(pick(content, THANKS) for _ in range(paper.rng.choice((0, 0, 1, 1, 2))))
    for text in said:
        if fonts.plain.width(text) < paper.right - paper.left:
            paper.gap(0.1, 0.9)
            paper.band(set_lines(content, [Line(text, content.one(("plain", "small")))], content.one(("left", "left", "center"))))
    if content.chance(0.1):
        paper.gap(1.2, 2.2)
        end = paper.left + paper.rng.randint(100, 180)
        paper.canvas.fill(paper.left, int(paper.y), end, int(paper.y) + 1, paper.look.line)
        paper.y += 3
        paper.band(
            set_lines(content, [Line(content.one(("Signature", "Signed", "Authorised signature", "Place, date", "Approved by")), "small")])
        )
    if content.chance(0.08):
        barcode(content, paper.canvas, (paper.left, int(paper.y) + 6, paper.left + 150, int(paper.y) + 36), paper.look.ink)
        paper.y += 40


SHARES = {"invoice": 34, "offer": 14, "delivery": 14, "account": 12, "letter": 10, "pay": 8, "timetable": 8, "prices": 10}


def paper(content: Content) -> Draft:
    """A paper with a table, 448 to 672 pixels wide and at most 896 high, and three to six turns about it. Raises Overfull."""
    kind = content.rng.choices(list(SHARES), list(SHARES.values()))[0]
    composer = draw_paper(content, kind)
    return composer.draft(lambda interview, found: ask_paper(content, interview, found))


def ask_paper(content: Content, interview: Interview, found: Paper) -> list[Turn]:
    """Three to six turns, the whole reading one of them where the paper is short."""
    found.facts.pop("shipping", None)  # there are no wordings for it; it is printed as an entry of the sums
    turns = PaperTurns(content, interview, found).draw(content.rng.randint(3, 5))
    if len(interview.text) <= LONGEST_READING and content.chance(0.4):
        turns.insert(0, interview.read(interview.text))
    return turns or [interview.foreign()]
