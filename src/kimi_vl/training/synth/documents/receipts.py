"""Shop receipts by a grammar: header, items, totals, payment and footer, each of many forms.

Pieces marked as held out appear in split "test" only, so that a score there is one on layouts never trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Font
from kimi_vl.training.synth.content import Choice, Content, Money, sized
from kimi_vl.training.synth.documents.ornaments import barcode, logo
from kimi_vl.training.synth.documents.particulars import drawn_date, drawn_time
from kimi_vl.training.synth.documents.rows import Row, choose_setting, print_rows, total_height
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
        "Due",
        "AMOUNT DUE",
        "GRAND TOTAL",
        "Order total",
        "Total incl. tax",
        "Bill total",
        "Sale total",
        "Total sale",
        "BALANCE DUE",
        "To be paid",
        "Purchase",
        "Total price",
        "TOTAL DUE",
        "Sale",
    ),
    ("Amount payable", "Total to pay", "Final total", "You pay", "Sum total"),
)
SUBTOTAL = Choice(
    (
        "Subtotal",
        "Sub-total",
        "SUBTOTAL",
        "Sub total",
        "Net",
        "Net total",
        "Subttl",
        "Net amount",
        "SUB TOTAL",
        "Net sales",
        "Net price",
        "SubTotal",
    ),
    ("Items total", "Before tax", "Goods"),
)
TAX = Choice(
    (
        *(
            "Tax",
            "VAT",
            "Sales tax",
            "TAX",
            "VAT {rate}%",
            "Tax {rate}%",
            "GST",
            "GST {rate}%",
            "Tax ({rate}%)",
            "{rate}% VAT",
            "VAT ({rate} %)",
        ),
        *("HST tax", "Tax 1", "SALES TAX", "Local tax", "Taxes", "VAT @ {rate}%", "Tax {rate} %", "City tax", "TAX {rate}.0%"),
    ),
    ("Tax amount", "State tax", "Plus VAT {rate}%"),
)
INCLUDED = Choice(
    (
        "incl. VAT",
        "Incl. tax",
        "VAT incl.",
        "Tax included",
        "of which VAT",
        "Including VAT",
        "incl. tax",
        "Incl. GST",
        "Includes tax",
        "VAT included",
    ),
    ("contains VAT", "Tax in total"),
)
DISCOUNT = Choice(
    (
        *("Discount", "DISCOUNT", "Savings", "Coupon", "Discount {rate}%", "Member discount", "Disc. {rate}% discount", "Coupon {rate}%"),
        *("Loyalty discount", "Savings {rate}%", "Discount -{rate}%", "Staff discount", "Promo discount", "Total savings"),
    ),
    ("Rebate", "Price reduction", "Voucher"),
)
CASH = Choice(
    (
        "Cash",
        "CASH",
        "Cash paid",
        "Tendered",
        "Cash tendered",
        "Paid cash",
        "Cash payment",
        "Amount tendered",
        "TENDERED",
        "Payment cash",
        "Paid",
    ),
    ("Received", "Given", "Cash received"),
)
CHANGE = Choice(
    ("Change", "CHANGE", "Change due", "Your change", "Change given", "Cash change", "CHANGE DUE", "Change out"),
    ("Returned", "Change back"),
)
CARDS = Choice(
    (
        "Visa",
        "Mastercard",
        "VISA",
        "Card",
        "Debit card",
        "Credit card",
        "AMEX",
        "Maestro",
        "Gift card",
        "MasterCard",
        "EC card",
        "Card payment",
        "Visa debit",
        "VISA CREDIT",
        "Apple Pay",
        "Card sale",
        "CARD",
        "American Express",
    ),
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
        "Receipt no. {}",
        "RECEIPT {}",
        "Order no. {}",
        "Order No: {}",
        "Ref. no. {}",
        "Bill no. {}",
        "Bill #{}",
        "Ticket no. {}",
        "Ticket #{}",
        "Trans no. {}",
        "No: {}",
        "Receipt ID: {}",
        "Receipt Nr. {}",
        "# {}",
        "Sale no. {}",
        "Invoice no. {}",
    ),
    ("Doc. {}", "Transaction ID {}", "Slip {}", "Check #{}"),
)
PHONE = Choice(
    (
        "Tel: {}",
        "Tel. {}",
        "Phone: {}",
        "{}",
        "TEL {}",
        "Ph: {}",
        "Phone {}",
        "Tel {}",
        "PHONE: {}",
        "Ph. {}",
        "Phone no. {}",
        "Tel no: {}",
        "tel: {}",
        "Mobile: {}",
    ),
    ("Call {}", "T {}", "Telephone: {}"),
)
CASHIER = Choice(
    (
        *("Cashier: {}", "Served by {}", "Cashier {}", "Your server: {}", "Server: {}", "Clerk: {}", "Served by: {}", "Your cashier: {}"),
        *(
            "Sold by {}",
            "Waiter: {}",
            "Salesperson: {}",
            "Cashier name: {}",
            "Clerk {}",
            "Host: {}",
            "Your host was {}",
            "Assistant: {}",
            "Seller: {}",
        ),
    ),
    ("You were served by {}", "Operator: {}", "Staff: {}"),
)
DATE = Choice(
    (
        *(
            "{}",
            "{}",
            "Date: {}",
            "Date {}",
            "DATE: {}",
            "Date : {}",
            "DATE {}",
            "Dt: {}",
            "Order date: {}",
            "Issued: {}",
            "Date of purchase: {}",
        ),
        *("Transaction date: {}", "Sale date {}", "Bill date: {}", "on {}", "Issue date: {}", "Purchased {}", "Day: {}"),
    ),
    ("Printed {}", "Date of sale: {}"),
)
TIME = Choice(
    ("{}", "Time: {}", "Time {}", "TIME: {}", "Time : {}", "TIME {}", "Order time: {}", "Clock: {}", "Local time {}"), ("at {}", "Hour: {}")
)
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
        "Thanks for your custom",
        "Thank you and see you again",
        "Please retain for your records",
        "*** Thank you ***",
        "Have a great day!",
        "We appreciate your business",
        "Items may be exchanged within 30 days",
        "Merchant copy",
        "Original",
        "*** COPY ***",
        "Follow us online",
        "How did we do? Tell us!",
        "Open Monday to Saturday",
        "Fresh every day",
        "Gratuity not included",
        "Sale is final",
        "No cash refunds",
        "Approved",
        "Signature not required",
    ),
    ("We hope to see you again", "Exchange only with this slip", "All prices include service", "Enjoy your meal"),
)
HEADER_ORDER = Choice(
    (
        "sapndc",
        "saptnc",
        "sandpc",
        "sdnac",
        "snapdc",
        "spadnc",
        "snapxd",
        "sapxnc",
        "saxdnc",
        "sxapdn",
        "asdnpx",
        "sapcxnd",
        "scdxn",
        "sdxn",
        "saxnd",
        "nsapdx",
    ),
    ("dsapnc", "ndsapc", "dnscap"),
)
COLUMN_HEADS: dict[str, Choice] = {
    "q": Choice(("Qty", "Quantity", "QTY", "Qty.", "No", "Count", "#"), ("How many",)),
    "n": Choice(("Item", "Description", "Article", "Product", "ITEM", "Details", "Desc."), ("Ware",)),
    "e": Choice(("Each", "Unit", "Price", "Unit price", "Price ea.", "Cost", "@"), ("Single",)),
    "t": Choice(("Total", "Amount", "Sum", "Price", "Amt", "Line", "TOTAL"), ("Makes",)),
}
COLUMN_ORDERS = Choice(("qnt", "nqt", "nt", "qnt"), ("ntq",))
WIDE_ORDERS = Choice(("qnet", "nqet", "neqt", "qnet"), ("eqnt",))
TOTAL_FORM = Choice(("pair", "pair", "pair", "pair", "bar", "center", "two rows", "boxed"), ("left",))
EXTRAS = Choice(
    (
        "Table {n}",
        "Table: {n}",
        "Guests: {k}",
        "Till {k}",
        "Register {k}",
        "Store {n}",
        "Terminal {l}",
        "POS {k}",
        "Covers {k}",
        "Table {n}, guests {k}",
        "Shop {n}",
        "Lane {k}",
        "Branch code {n}",
        "Seat {k}",
        "Till: {k}",
        "Store: {n}",
        "Member {l}",
        "TABLE {n}",
        "Reg {k}",
        "Room {n}",
        "Bar",
        "Take away",
        "Eat in",
        "Delivery",
        "Copy",
        "SALE",
        "*** SALE ***",
        "RECEIPT",
        "Receipt",
        "Cash sale",
        "Welcome!",
    ),
    ("Booth {k}", "Counter {n}"),
)
AFTERWARDS = Choice(
    (
        "Items: {c}",
        "Item count: {c}",
        "{c} items",
        "No. of items {c}",
        "You earned {n} points",
        "Points: {n}",
        "Points balance {n}",
        "Auth code {l}",
        "Card ************{f}",
        "XXXX XXXX XXXX {f}",
        "AID: A000000{l}",
        "Approval {l}",
        "Entry mode: chip",
        "Number of articles: {c}",
        "Bonus points {k}",
        "Next visit: {k}% off",
        "Free coffee after {k} visits",
    ),
    ("Stars collected: {k}", "Pieces sold {c}"),
)
HEADER_ALIGN = Choice(("center", "center", "left"), ("right",))
ITEM_FORM = Choice(
    (
        *(
            "plain",
            "plain",
            "qty",
            "qty x",
            "unit below",
            "columns",
            "columns4",
            "at",
            "name qty",
            "name each",
            "letter",
            "sku",
            "sku below",
        ),
        *("at below", "weighed", "wrapped", "numbered", "starred", "qty in front", "each below", "columns", "columns4"),
    ),
    ("unit above", "paren", "bullet"),
)


SINGLE = ("bullet", "letter", "sku", "sku below", "weighed", "wrapped", "numbered", "starred")  # forms that sell one piece a row


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
        self.trailing = content.chance(0.15) and not self.paper.money.after  # a minus behind the amount: "1.20-"
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
        self.paper.rows += [Row(kind=self.content.one(("rule", "rule", "gap")))] * self.rng.choice((1, 1, 1, 1, 1, 2))
        if self.content.chance(0.05):
            self.paper.rows += [Row(kind="gap")] * self.rng.randint(1, 4)

    # Header ----------------------------------------------------------------------------------------------------------

    def header(self) -> None:
        order = str(HEADER_ORDER.pick(self.rng, self.split))
        makers = {
            "s": self.shop,
            "a": self.address,
            "p": self.phone,
            "n": self.number,
            "d": self.date,
            "t": self.date,
            "c": self.cashier,
            "x": self.extras,
        }
        chances = {"s": 0.95, "a": 0.65, "p": 0.55, "n": 0.6, "d": 0.85, "t": 0.85, "c": 0.3, "x": 0.6}
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
        self.labelled("number", self.label(RECEIPT_NO), code, self.content.one((self.align, "left")))

    def labelled(self, key: str, form: str, value: str, align: str) -> None:
        """A label with its value: in one text, at the two ends of a row, or above one another."""
        draw, label = self.rng.random(), form.replace("{}", "").strip(" :")
        if not label or draw < 0.72 or not form.endswith("{}"):
            self.paper.note(key, value, Row((form.format(value),), align))
        elif draw < 0.9:
            self.paper.note(key, value, Row((label + self.colon, value), "pair"))
        else:
            self.paper.rows.append(Row((label,), align))
            self.paper.note(key, value, Row((value,), align))
            self.paper.facts[key] = Fact(value, f"{label}\n{value}")

    def extras(self) -> None:
        """Tables, tills and greetings, one or two on a row."""
        texts = [self.extra(EXTRAS) for _ in range(self.rng.choice((1, 1, 2)))]
        if len(texts) == 2 and texts[0] != texts[1] and self.content.chance(0.6):
            self.paper.rows.append(Row((texts[0], texts[1]), "pair"))
        else:
            self.paper.rows.append(Row((texts[0],), self.content.one((self.align, "left", "center"))))

    def extra(self, choice: Choice) -> str:
        digits, rng = self.content.number, self.rng
        slots = {
            "n": str(rng.randint(1, 999)),
            "k": str(rng.randint(1, 12)),
            "l": digits(6),
            "f": digits(4),
            "c": str(len(self.paper.items)),
        }
        return self.cased(str(choice.pick(rng, self.split)).format(**slots))

    def date(self) -> None:
        date, time = self.content.date(), self.content.time()
        if self.content.chance(0.6):
            date, time = drawn_date(self.content), drawn_time(self.content)
        draw, align = self.rng.random(), self.content.one((self.align, "left"))
        if draw > 0.88:
            return self.date_grid(date, time)
        if draw > 0.78:
            self.labelled("date", self.label(DATE), date, align)
            return self.labelled("time", self.label(TIME), time, align)
        draw /= 0.78
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

    def date_grid(self, date: str, time: str) -> None:
        """Date and time at the two ends of a row, their labels above them."""
        heads = [self.label(choice).replace("{}", "").strip(" :") or word for choice, word in ((DATE, "Date"), (TIME, "Time"))]
        pairs = [("date", heads[0], date), ("time", heads[1], time)]
        if self.content.chance(0.3):
            pairs.reverse()
        upper, lower = Row(tuple(p[1] for p in pairs), "pair"), Row(tuple(p[2] for p in pairs), "pair")
        self.paper.rows += [upper, lower]
        for key, _, value in pairs:
            self.paper.facts[key] = Fact(value, f"{upper.text}\n{lower.text}")

    def cashier(self) -> None:
        name = self.cased(self.content.person().split(" ")[0])
        self.labelled("cashier", self.label(CASHIER), name, self.content.one((self.align, "left")))

    # Items -----------------------------------------------------------------------------------------------------------

    def item_rows(self) -> None:
        form = str(ITEM_FORM.pick(self.rng, self.split))
        count = self.rng.choices(range(1, 11), (4, 8, 14, 18, 16, 12, 8, 6, 4, 3))[0]
        names = self._names(count)
        if form.startswith("columns"):
            order = str((COLUMN_ORDERS if form == "columns" else WIDE_ORDERS).pick(self.rng, self.split))
            self.paper.stretch, form = order.index("n"), f"columns {order}"
            if self.content.chance(0.75):
                self.paper.rows.append(Row(tuple(self.column_heads(order)), "cells", self.content.one(("plain", "plain", "bold"))))
                if self.content.chance(0.5):
                    self.paper.rows.append(Row(kind="rule"))
        loose = self.content.chance(0.08)
        for name in names:
            many = self.content.chance(0.35)
            quantity = self.rng.choice((2, 2, 3, 4, 5, 6, 10)) if many else 1
            unit = self.content.cents()
            self._item(form, name, quantity, unit)
            if loose:
                self.paper.rows.append(Row(kind="gap"))
        if any(a.name == b.name for k, a in enumerate(self.paper.items) for b in self.paper.items[:k]):
            raise Overfull("two items share a name")

    def column_heads(self, order: str) -> list[str]:
        """A head for each column, no two alike."""
        heads: list[str] = []
        for role in order:
            for _ in range(9):
                head = self.label(COLUMN_HEADS[role])
                if head.casefold() not in [other.casefold() for other in heads]:
                    break
            else:
                raise Overfull("two columns have one head")
            heads.append(head)
        return heads

    def _names(self, count: int) -> list[str]:
        names: list[str] = []
        for _ in range(count * 3):
            name = self.names_cased(self.content.product())
            if len(names) < count and not any(name.casefold() in n.casefold() or n.casefold() in name.casefold() for n in names):
                names.append(name)
        return names

    def _item(self, form: str, name: str, quantity: int, unit: int) -> None:
        price, amount = self.paper.price, quantity * unit
        q, each, whole = str(quantity), price(unit), price(amount)
        if form.startswith("columns"):
            order = form.split(" ")[1]
            row = Row(tuple({"q": q, "n": name, "e": each, "t": whole}[role] for role in order), "cells")
            self.sell([row], Item(name, quantity, unit, amount, whole, each if "e" in order else "", q if "q" in order else "", row.text))
        elif form in ("qty", "qty x", "qty in front", "name qty", "name each"):
            text = {
                "qty": f"{q} {name}",
                "qty x": f"{q} x {name}",
                "qty in front": f"{q}x {name}",
                "name qty": f"{name} x {q}",
                "name each": f"{name} {q} x {each}",
            }[form]
            row = Row((text, whole), "pair")
            self.sell([row], Item(name, quantity, unit, amount, whole, each if form == "name each" else "", q, row.text))
        elif form in SINGLE or quantity == 1 or form == "plain":
            self.single(form, name, unit)
        elif form in ("at", "paren"):
            row = Row((f"{name} {q} @ {each}" if form == "at" else f"{name} ({q})", whole), "pair")
            self.sell([row], Item(name, quantity, unit, amount, whole, each if form == "at" else "", q, row.text))
        else:
            row = Row((name, whole), "pair")
            said = f"{q} x {each}"
            if form == "at below":
                said = self.content.one((f"{q} @ {each}", f"{q} pcs @ {each}", f"{q} at {each} each", f"{q} * {each}", f"@ {each} x {q}"))
            elif form == "each below":
                said = self.content.one((f"Qty {q} x {each}", f"{q} x {each} each", f"{q} x {each} ea", f"{q} x {each} ="))
            detail = Row((said,), "left")
            rows = [detail, row] if form == "unit above" else [row, detail]
            evidence = row.text if said == f"{q} x {each}" else "\n".join([r.text for r in rows])
            self.sell(rows, Item(name, quantity, unit, amount, whole, each, q, evidence))

    def sell(self, rows: list[Row], item: Item) -> None:
        self.paper.rows += rows
        self.paper.items.append(item)

    def single(self, form: str, name: str, unit: int) -> None:
        """One piece, with its tax letter, its number, its weight or a mark beside it."""
        content, price = self.content, self.paper.price(unit)
        text, shown, below = name, price, ""
        if form == "bullet":
            text = f"- {name}"
        elif form == "letter":
            shown = f"{price} {content.one('ABCTN')}"
        elif form == "sku":
            text = f"{content.number(self.rng.choice((4, 5, 6)))} {name}"
        elif form == "sku below":
            below = content.one(("{}", "SKU {}", "Art. {}", "Item {}")).format(content.number(self.rng.randint(5, 12)))
        elif form == "numbered":
            text = f"{len(self.paper.items) + 1}{content.one(('.', ')', '.'))} {name}"
        elif form == "starred":
            text = f"{content.one('*+>#')} {name}"
        elif form == "weighed" and content.chance(0.6):
            grams, per = self.rng.randint(80, 2500), self.content.cents()
            unit = max(5, (grams * per + 500) // 1000)
            shown = price = self.paper.price(unit)
            below = (
                content.one(("{} kg x {}/kg", "{} kg @ {}", "  {} kg * {} /kg", "{} kg at {} per kg"))
                .strip()
                .format(f"{grams / 1000:.3f}".replace(".", self.paper.money.decimal), self.paper.price(per))
            )
        rows = [Row((text, shown), "pair")]
        if form == "wrapped" and " " in name:
            first, last = name.rsplit(" ", 1)
            rows = [Row((first,), "left"), Row((last, price), "pair")]
        if below:
            rows.append(Row((below,), "left"))
        evidence = "\n".join([row.text for row in rows if row.text != below])
        self.sell(rows, Item(name, 1, unit, unit, price, "", "", evidence))

    # Totals ----------------------------------------------------------------------------------------------------------

    def amount(self, cents: int) -> str:
        """An amount as the lower part prints it."""
        return self.paper.money.full(cents) if self.sign_totals else self.paper.money.bare(cents)

    def amount_row(self, key: str, label: str, cents: int, weight: str = "plain") -> None:
        printed = self.amount(cents)
        if cents < 0 and self.trailing:
            printed = f"{self.amount(-cents)}-"
        self.paper.note(key, printed, Row((label + self.colon, printed), "pair", weight))

    def total_row(self) -> None:
        """The total, which may stand on a bar, by itself in the middle, or below its label."""
        form, label, printed = str(TOTAL_FORM.pick(self.rng, self.split)), self.label(TOTAL), self.amount(self.paper.printed_total)
        weight = self.content.one(("bold", "bold", "plain", "big"))
        if form in ("pair", "bar", "boxed"):
            self.paper.note("total", printed, Row((label + self.colon, printed), form, weight))
        elif form == "two rows":
            align = self.content.one(("left", "center"))
            self.paper.rows.append(Row((label + self.colon,), align))
            self.paper.note("total", printed, Row((printed,), align, weight))
            self.paper.facts["total"] = Fact(printed, f"{label}{self.colon}\n{printed}")
        else:
            self.paper.note("total", printed, Row((f"{label}{self.content.one((': ', ' ', ' = '))}{printed}",), form, weight))

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
        if content.chance(0.2):
            paper.printed_total = max(1, paper.total + content.one((-1000, -100, -10, 10, 100, 200, 1000, 90)))
        if content.chance(0.25):
            self.divide()
        self.total_row()
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
        if self.content.chance(0.25):
            line = self.extra(AFTERWARDS)
            label, _, value = line.rpartition(" ")
            kind = "pair" if self.content.chance(0.4) and label else self.content.one(("left", self.align, "center"))
            self.paper.rows.append(Row((label, value) if kind == "pair" else (line,), kind))
        for _ in range(self.rng.choice((0, 0, 1, 1, 2))):
            if self.content.chance(0.5):
                self.divide()
            line = self.label(FOOTER)
            if all(row.text != line for row in self.paper.rows):
                self.paper.rows.append(Row((line,), self.content.one(("center", "center", self.align))))


def choose_money(content: Content, font: Font) -> Money:
    """A currency and decimal style whose sign the font has."""
    symbol = content.one(
        ("", "", "", "", "$", "$", "$", "$", "€", "€", "€", "£", "£", "EUR ", "USD ", "Rs ", "kr", "CHF ", "$ ", "EUR", "US$")
    )
    if symbol and not font.covers(symbol.strip()):
        symbol = "$"
    comma = content.chance({"€": 0.7, "EUR ": 0.6, "EUR": 0.6, "kr": 0.6, "$": 0.08}.get(symbol, 0.2))
    group = ("." if comma else ",") if content.chance(0.4) else ""
    after = content.chance({"€": 0.6, "EUR ": 0.5, "EUR": 1.0, "kr": 1.0, "USD ": 0.3, "CHF ": 0.3}.get(symbol, 0.0))
    return Money(symbol.strip() if after else symbol, "," if comma else ".", after, group)


def choose_fonts(content: Content, low: int, high: int) -> dict[str, Font]:
    """A plain font, its bold and a bigger one for names."""
    face = content.face(("sans", "mono", "receipt", "serif", "condensed", "slab"))
    plain = content.font(face, low, high)
    bold = content.sibling(face, bold=True)
    return {"plain": plain, "bold": sized(bold, plain.size), "big": sized(bold, plain.size * content.rng.uniform(1.15, 2.0))}


def draw_receipt(content: Content) -> tuple[Canvas, int, float, Receipt]:
    """A receipt, 280 to 560 pixels wide and at most 616 high."""
    rng = content.rng
    fonts = choose_fonts(content, 13, 20)
    slip = Clerk(content, choose_money(content, fonts["plain"])).write()
    width = rng.choice((448, 448, 420, 392, 364, 336, 308, 280, 504, 560, rng.randint(280, 560)))
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
