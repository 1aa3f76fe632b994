"""Shop receipts by a grammar: header, items, totals, payment and footer, each of many forms.

Pieces marked as held out appear in split "test" only, so that a score there is one on layouts never trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Font
from kimi_vl.training.synth.content import Choice, Content, Money, sized
from kimi_vl.training.synth.ornaments import barcode, logo
from kimi_vl.training.synth.rows import Row, choose_setting, print_rows, total_height
from kimi_vl.training.synth.scene import Overfull

HIGHEST = 616

SHOP_KINDS = Choice(
    (
        "",
        "",
        "",
        " Market",
        " Store",
        " Shop",
        " Cafe",
        " Bakery",
        " Foods",
        " & Sons",
        " Pharmacy",
        " Grocery",
        " Books",
        " Deli",
        " Hotel",
        " Fuel",
        " Express",
    ),
    (" Corner", " Trading Post", " Kiosk", " Bistro"),
)
TOTAL = Choice(
    (
        "Total",
        "TOTAL",
        "Total",
        "Total due",
        "Amount due",
        "Balance",
        "Sum",
        "Grand total",
        "Total amount",
        "To pay",
        "Balance due",
        "Amount",
        "TOTAL AMOUNT",
    ),
    ("Amount payable", "Total to pay", "Final total", "You pay", "Sum total"),
)
SUBTOTAL = Choice(("Subtotal", "Sub-total", "SUBTOTAL", "Sub total", "Net", "Net total"), ("Items total", "Before tax", "Goods"))
TAX = Choice(
    ("Tax", "VAT", "Sales tax", "TAX", "VAT {rate}%", "Tax {rate}%", "GST", "GST {rate}%"), ("Tax amount", "State tax", "Plus VAT {rate}%")
)
INCLUDED = Choice(("incl. VAT", "Incl. tax", "VAT incl.", "Tax included", "of which VAT"), ("contains VAT", "Tax in total"))
DISCOUNT = Choice(
    ("Discount", "DISCOUNT", "Savings", "Coupon", "Discount {rate}%", "Member discount"), ("Rebate", "Price reduction", "Voucher")
)
CASH = Choice(("Cash", "CASH", "Cash paid", "Tendered", "Cash tendered", "Paid cash"), ("Received", "Given", "Cash received"))
CHANGE = Choice(("Change", "CHANGE", "Change due", "Your change", "Change given"), ("Returned", "Change back"))
CARDS = Choice(
    ("Visa", "Mastercard", "VISA", "Card", "Debit card", "Credit card", "AMEX", "Maestro", "Gift card"),
    ("Contactless", "Bank card", "Discover"),
)
RECEIPT_NO = Choice(
    (
        "Receipt No. {}",
        "Receipt #{}",
        "Receipt: {}",
        "No. {}",
        "Receipt no: {}",
        "Order #{}",
        "Order: {}",
        "Trans. {}",
        "Invoice {}",
        "Ref: {}",
        "Bill No: {}",
        "Ticket {}",
    ),
    ("Doc. {}", "Transaction ID {}", "Slip {}", "Check #{}"),
)
PHONE = Choice(("Tel: {}", "Tel. {}", "Phone: {}", "{}", "TEL {}", "Ph: {}", "Phone {}"), ("Call {}", "T {}", "Telephone: {}"))
CASHIER = Choice(
    ("Cashier: {}", "Served by {}", "Cashier {}", "Your server: {}", "Server: {}", "Clerk: {}"),
    ("You were served by {}", "Operator: {}", "Staff: {}"),
)
DATE = Choice(("{}", "{}", "Date: {}", "Date {}", "DATE: {}"), ("Printed {}", "Date of sale: {}"))
TIME = Choice(("{}", "Time: {}", "Time {}", "TIME: {}"), ("at {}", "Hour: {}"))
FOOTER = Choice(
    (
        "Thank you!",
        "THANK YOU",
        "Thank you for shopping with us",
        "Please come again",
        "Have a nice day",
        "Thank you for your visit",
        "Keep this receipt",
        "No refund without receipt",
        "Goodbye",
        "See you soon",
        "Returns within 14 days",
        "Customer copy",
    ),
    ("We hope to see you again", "Exchange only with this slip", "All prices include service", "Enjoy your meal"),
)
HEADER_ORDER = Choice(("sapndc", "saptnc", "sandpc", "sdnac", "snapdc", "spadnc"), ("dsapnc", "ndsapc", "dnscap"))
HEADER_ALIGN = Choice(("center", "center", "left"), ("right",))
ITEM_FORM = Choice(("plain", "plain", "qty", "qty x", "unit below", "columns", "columns4", "at"), ("unit above", "paren", "bullet"))


class Fact(NamedTuple):
    """An answer as printed and the row it stands in."""

    answer: str
    row: str


class Item(NamedTuple):
    """A bought article; amounts in cents, texts as printed ("" when not printed)."""

    name: str
    quantity: int
    unit: int
    amount: int
    amount_text: str
    unit_text: str
    quantity_text: str
    row: str


@dataclass
class Receipt:
    """The facts of one receipt and its rows in printing order."""

    money: Money
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    total: int = 0
    subtotal: int = 0
    discount: int = 0
    tax: int = 0
    printed_total: int = 0
    prices_signed: bool = False
    stretch: int = 0

    def note(self, key: str, answer: str, row: Row) -> None:
        """Print `row` and remember that it answers `key`."""
        self.rows.append(row)
        self.facts[key] = Fact(answer, row.text)

    def price(self, cents: int) -> str:
        """An amount as item prices are printed."""
        return self.money.full(cents) if self.prices_signed else self.money.bare(cents)


class Clerk:
    """Writes one receipt."""

    def __init__(self, content: Content, money: Money) -> None:
        self.content, self.split, self.rng = content, content.split, content.rng
        self.cased: Callable[[str], str] = str.upper if content.chance(0.35) else str
        mixed: tuple[Callable[[str], str], ...] = (str, str, str, str.upper, str.capitalize)
        self.names_cased = content.one(mixed) if self.cased is str else str.upper
        self.align = str(HEADER_ALIGN.pick(self.rng, self.split))
        self.colon = content.one(("", "", ":"))
        self.paper = Receipt(money, prices_signed=content.chance(0.4))
        self.sign_totals = self.paper.prices_signed or content.chance(0.6)

    def label(self, choice: Choice, rate: int = 0) -> str:
        return self.cased(str(choice.pick(self.rng, self.split)).replace("{rate}", str(rate)))

    def write(self) -> Receipt:
        self.header()
        self.divide()
        self.item_rows()
        self.divide()
        self.totals()
        self.footer()
        return self.paper

    def divide(self) -> None:
        self.paper.rows.append(Row(kind=self.content.one(("rule", "rule", "gap"))))

    # Header ----------------------------------------------------------------------------------------------------------

    def header(self) -> None:
        order = str(HEADER_ORDER.pick(self.rng, self.split))
        makers = {"s": self.shop, "a": self.address, "p": self.phone, "n": self.number, "d": self.date, "t": self.date, "c": self.cashier}
        chances = {"s": 0.95, "a": 0.65, "p": 0.55, "n": 0.6, "d": 0.85, "t": 0.85, "c": 0.3}
        for key in order:
            if self.content.chance(chances[key]):
                makers[key]()
                if self.content.chance(0.12):
                    self.divide()

    def shop_name(self) -> str:
        content = self.content
        if content.chance(0.5):
            return content.company()
        named = content.one((content.person, lambda: content.person().split(" ")[-1], lambda: content.word().capitalize(), content.town))()
        return named + str(SHOP_KINDS.pick(self.rng, self.split))

    def shop(self) -> None:
        name = self.cased(self.shop_name())
        self.paper.note("shop", name, Row((name,), self.align, self.content.one(("big", "big", "bold", "plain"))))

    def address(self) -> None:
        street = self.cased(self.content.street())
        if self.content.chance(0.3):
            street = f"{street}, {self.cased(self.content.town())}"
            self.paper.note("address", street, Row((street,), self.align))
            return
        self.paper.note("address", street, Row((street,), self.align))
        if self.content.chance(0.7):
            self.paper.rows.append(Row((self.cased(self.content.place()),), self.align))
            del self.paper.facts["address"]

    def phone(self) -> None:
        number = self.content.phone()
        self.paper.note("phone", number, Row((self.label(PHONE).format(number),), self.align))
        if self.content.chance(0.15):
            self.paper.rows.append(Row((self.content.site(),), self.align))

    def number(self) -> None:
        code = self.content.code()
        self.paper.note("number", code, Row((self.label(RECEIPT_NO).format(code),), self.content.one((self.align, "left"))))

    def date(self) -> None:
        date, time = self.content.date(), self.content.time()
        draw, align = self.rng.random(), self.content.one((self.align, "left"))
        dated, timed = self.label(DATE).format(date), self.label(TIME).format(time)
        if draw < 0.3:
            self.paper.note("date", date, Row((dated,), align))
        elif draw < 0.6:
            row = Row((dated, timed), "pair")
            self.paper.note("date", date, row)
            self.paper.facts["time"] = Fact(time, row.text)
        elif draw < 0.85:
            row = Row((f"{dated} {timed}",), align)
            self.paper.note("date", date, row)
            self.paper.facts["time"] = Fact(time, row.text)
        else:
            self.paper.note("date", date, Row((dated,), align))
            self.paper.note("time", time, Row((timed,), align))

    def cashier(self) -> None:
        name = self.cased(self.content.person().split(" ")[0])
        self.paper.note("cashier", name, Row((self.label(CASHIER).format(name),), self.content.one((self.align, "left"))))

    # Items -----------------------------------------------------------------------------------------------------------

    def item_rows(self) -> None:
        form = str(ITEM_FORM.pick(self.rng, self.split))
        count = self.rng.choices(range(1, 11), (4, 8, 14, 18, 16, 12, 8, 6, 4, 3))[0]
        names = self._names(count)
        if form.startswith("columns"):
            head = ("Qty", "Item", "Price") if form == "columns" else ("Qty", "Item", "Each", "Total")
            self.paper.stretch = 1
            if self.content.chance(0.7):
                self.paper.rows.append(Row(tuple(self.cased(h) for h in head), "cells"))
                if self.content.chance(0.5):
                    self.paper.rows.append(Row(kind="rule"))
        for name in names:
            many = self.content.chance(0.35)
            quantity = self.rng.choice((2, 2, 3, 4, 5, 6, 10)) if many else 1
            unit = self.content.cents()
            self._item(form, name, quantity, unit)
        if any(a.name == b.name for k, a in enumerate(self.paper.items) for b in self.paper.items[:k]):
            raise Overfull("two items share a name")

    def _names(self, count: int) -> list[str]:
        names: list[str] = []
        for _ in range(count * 3):
            name = self.names_cased(self.content.product())
            if len(names) < count and not any(name.casefold() in n.casefold() or n.casefold() in name.casefold() for n in names):
                names.append(name)
        return names

    def _item(self, form: str, name: str, quantity: int, unit: int) -> None:
        rows, price = self.paper.rows, self.paper.price
        amount = quantity * unit
        q, each, whole = str(quantity), price(unit), price(amount)
        unit_text = quantity_text = ""
        if form == "columns":
            row, quantity_text = Row((q, name, whole), "cells"), q
        elif form == "columns4":
            row, quantity_text, unit_text = Row((q, name, each, whole), "cells"), q, each
        elif form in ("qty", "qty x"):
            row, quantity_text = Row((f"{q}{' x ' if 'x' in form else ' '}{name}", whole), "pair"), q
        elif form == "bullet":
            row, quantity, amount, whole = Row((f"- {name}", each), "pair"), 1, unit, each
        elif quantity == 1 or form == "plain":
            row, quantity, amount, whole = Row((name, each), "pair"), 1, unit, each
        elif form == "at":
            row, quantity_text, unit_text = Row((f"{name} {q} @ {each}", whole), "pair"), q, each
        elif form == "paren":
            row, quantity_text = Row((f"{name} ({q})", whole), "pair"), q
        else:
            row, quantity_text, unit_text = Row((name, whole), "pair"), q, each
        detail = Row((f"{q} x {each}",), "left")
        if unit_text and form == "unit above":
            rows.append(detail)
        rows.append(row)
        if unit_text and form == "unit below":
            rows.append(detail)
        self.paper.items.append(Item(name, quantity, unit, amount, whole, unit_text, quantity_text, row.text))

    # Totals ----------------------------------------------------------------------------------------------------------

    def amount_row(self, key: str, label: str, cents: int, weight: str = "plain") -> None:
        printed = self.paper.money.full(cents) if self.sign_totals else self.paper.money.bare(cents)
        self.paper.note(key, printed, Row((label + self.colon, printed), "pair", weight))

    def totals(self) -> None:
        paper, content = self.paper, self.content
        paper.subtotal = sum(item.amount for item in paper.items)
        rate = content.one((5, 6, 7, 8, 10, 15, 19, 20, 25))
        taxed = content.rng.random()
        cut = content.one((5, 10, 15, 20)) if content.chance(0.12) else 0
        paper.discount = paper.subtotal * cut // 100
        if taxed < 0.4:
            paper.tax = ((paper.subtotal - paper.discount) * rate + 50) // 100
        if paper.discount or paper.tax or content.chance(0.25):
            self.amount_row("subtotal", self.label(SUBTOTAL), paper.subtotal)
        if paper.discount:
            self.amount_row("discount", self.label(DISCOUNT, cut), -paper.discount)
        if paper.tax:
            self.amount_row("tax", self.label(TAX, rate), paper.tax)
        paper.total = paper.printed_total = paper.subtotal - paper.discount + paper.tax
        if content.chance(0.1):
            paper.printed_total = max(1, paper.total + content.one((-1000, -100, -10, 10, 100, 200, 1000, 90)))
        if content.chance(0.25):
            self.divide()
        self.amount_row("total", self.label(TOTAL), paper.printed_total, content.one(("bold", "bold", "plain", "big")))
        if 0.4 <= taxed < 0.55:
            self.amount_row("tax", self.label(INCLUDED), (paper.printed_total * rate + 50) // (100 + rate))
        if content.chance(0.75):
            self.payment()

    def payment(self) -> None:
        due = self.paper.printed_total
        if self.content.chance(0.5):
            kind = self.label(CARDS)
            self.amount_row("payment", kind, due)
            self.paper.facts["payment"] = Fact(kind, self.paper.facts["payment"].row)
            return
        step = self.content.one((100, 500, 1000, 2000, 5000, 1))
        given = -(-due // step) * step
        label = self.label(CASH)
        self.amount_row("tendered", label, given)
        if "cash" in label.casefold():
            self.paper.facts["payment"] = Fact(label, self.paper.facts["tendered"].row)
        if given > due or self.content.chance(0.5):
            self.amount_row("change", self.label(CHANGE), given - due)

    def footer(self) -> None:
        for _ in range(self.rng.choice((0, 0, 1, 1, 2))):
            if self.content.chance(0.5):
                self.divide()
            line = self.label(FOOTER)
            if all(row.text != line for row in self.paper.rows):
                self.paper.rows.append(Row((line,), self.content.one(("center", "center", self.align))))


def choose_money(content: Content, font: Font) -> Money:
    """A currency and decimal style whose sign the font has."""
    symbol = content.one(("", "", "", "$", "$", "$", "€", "€", "£"))
    if symbol and not font.covers(symbol):
        symbol = "$"
    comma = content.chance(0.7 if symbol == "€" else 0.08 if symbol == "$" else 0.2)
    group = ("." if comma else ",") if content.chance(0.4) else ""
    return Money(symbol, "," if comma else ".", symbol == "€" and content.chance(0.6), group)


def choose_fonts(content: Content, low: int, high: int) -> dict[str, Font]:
    """A plain font, its bold and a bigger one for names."""
    face = content.face(("sans", "mono", "receipt", "serif", "condensed", "slab"))
    plain = content.font(face, low, high)
    bold = content.sibling(face, bold=True)
    return {"plain": plain, "bold": sized(bold, plain.size), "big": sized(bold, plain.size * content.rng.uniform(1.15, 2.0))}


def draw_receipt(content: Content) -> tuple[Canvas, int, float, Receipt]:
    """A receipt, 320 to 480 pixels wide and at most 616 high."""
    rng = content.rng
    fonts = choose_fonts(content, 13, 20)
    slip = Clerk(content, choose_money(content, fonts["plain"])).write()
    width = rng.choice((448, 448, 420, 392, 364, 336, rng.randint(320, 480)))
    paper, ink = content.colours(0.8)
    setting = choose_setting(content, slip.rows, fonts, width, ink, slip.stretch)
    needed = total_height(slip.rows, setting)
    mark = rng.randint(20, 44) if content.chance(0.1) else 0
    bars = rng.randint(20, 50) if content.chance(0.1) else 0
    needed += mark + 4 + bars
    if needed + 12 > HIGHEST:
        raise Overfull(f"{len(slip.rows)} rows need {needed} pixels")
    top = rng.randint(6, min(36, HIGHEST - needed - 6))
    canvas = Canvas(width, HIGHEST, paper)
    if mark:
        logo(content, canvas, rng.choice((width // 2, width // 2, setting.left + mark)), top, mark, ink)
    bottom = print_rows(canvas, slip.rows, setting, top + mark + (4 if mark else 0))
    if bars:
        barcode(content, canvas, (width // 5, bottom + 2, width - width // 5, bottom + bars), ink)
        bottom += bars
    height = content.snapped(max(196, bottom + rng.randint(4, 26)), HIGHEST)
    if content.chance(0.08):
        canvas.frame(2, 2, width - 2, height - 2, ink, rng.randint(1, 2))
    return canvas, height, setting.fonts["plain"].x_height, slip
