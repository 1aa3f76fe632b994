"""Tables: what their columns hold. Articles, people and times with numbers, dates, codes and flags, all of them facts to ask about.

Pieces marked as held out appear in split "test" only, so that a score there is one on layouts never trained on.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kimi_vl.training.synth.content import DAYS, MONTHS, Choice, Content
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.scene import Overfull

INTEGERS = Choice(
    (
        *("Quantity", "Points", "Stock", "Age", "Sales", "Visitors", "Orders", "Units", "Members", "Score", "Goals", "Seats"),
        *("Pages", "Rooms", "Downloads", "Calls", "Students", "Games", "Population", "Errors", "Days", "Copies", "Wins", "Steps", "Beds"),
        *("Minutes", "Platform", "Places", "Floors", "Boxes", "Crew"),
    ),
    ("Headcount", "Tickets", "Votes", "Parcels"),
)
AMOUNTS = Choice(
    ("Price", "Cost", "Revenue", "Budget", "Fee", "Rent", "Salary", "Value", "Income", "Debt", "Profit", "Wage", "Savings", "Premium"),
    ("Charge", "Expenses", "Turnover"),
)
PERCENTAGES = Choice(
    ("Share", "Growth", "Rate", "Discount", "Progress", "Interest", "Quota", "Humidity", "Accuracy", "Yield"), ("Margin", "Attendance")
)
MEASURES = Choice(
    (("Weight", "kg"), ("Length", "m"), ("Distance", "km"), ("Height", "cm"), ("Time", "s"), ("Volume", "l"), ("Width", "mm")),
    (("Depth", "m"), ("Power", "kW")),
)
DATES = Choice(
    ("Date", "Start", "End", "Due", "Delivered", "Updated", "Opened", "Born", "Sent", "Founded", "Last seen", "Signed"),
    ("Expires", "Ordered on"),
)
TIMES = Choice(("Departs", "Arrives", "Opens", "Closes", "Starts", "Ends", "Check-in"), ("Curtain", "Last entry"))
CODES = Choice(("Code", "Ref.", "ID", "SKU", "Number", "Order no.", "Key", "Serial no.", "Licence", "Plate"), ("Part no.", "Batch"))
FLAGS = Choice(
    ("In stock", "Active", "Paid", "Approved", "Open", "Checked", "Online", "Sold out", "Booked", "Passed", "Vegan"), ("Insured", "Shipped")
)
FLAG_WORDS = Choice((("Yes", "No"), ("yes", "no"), ("Y", "N"), ("YES", "NO")), (("true", "false"),))
PLACES = Choice(("City", "Town", "Origin"), ("Destination", "Branch"))
PEOPLE = Choice(("Contact", "Owner", "Author"), ("Manager", "Agent"))
STATUSES = Choice(("Status", "State"), ("Phase",))
SUBJECTS: dict[str, tuple[str, Callable[[Content], str]]] = {  # head of the first column: what a row is, and its names
    "Item": ("item", lambda c: article(c)),
    "Product": ("product", lambda c: article(c)),
    "Article": ("article", lambda c: article(c)),
    "Name": ("person", lambda c: c.person()),
    "Employee": ("employee", lambda c: c.person()),
    "Town": ("town", lambda c: c.town()),
    "Line": ("line", lambda c: c.town()),
    "Station": ("station", lambda c: c.town()),
    "Student": ("student", lambda c: c.person()),
    "Player": ("player", lambda c: c.person().split(" ")[-1]),
    "Room": ("room", lambda c: f"{c.letters(1)}{c.rng.randint(10, 499)}"),
    "Team": ("team", lambda c: c.town()),
    "Company": ("company", lambda c: c.company()),
    "Project": ("project", lambda c: c.proper()),
    "Model": ("model", lambda c: f"{c.proper()} {c.rng.randint(1, 9)}00"),
    "Code": ("code", lambda c: c.code()),
    "Month": ("month", lambda c: c.one(MONTHS)),
    "Day": ("day", lambda c: c.one(DAYS)),
    "Year": ("year", lambda c: str(c.rng.randint(1960, 2029))),
}
PERIODS = Choice(
    (("Q1", "Q2", "Q3", "Q4"), ("Mon", "Tue", "Wed", "Thu", "Fri"), ("Jan", "Feb", "Mar", "Apr", "May"), ("2021", "2022", "2023", "2024")),
    (("Week 1", "Week 2", "Week 3", "Week 4"), ("North", "South", "East", "West")),
)
ITEM_HEADS = Choice(
    (
        (("name", "Description"), ("quantity", "Qty"), ("price", "Price"), ("amount", "Amount")),
        (("name", "Description"), ("quantity", "Qty"), ("price", "Unit price"), ("amount", "Amount")),
        (("quantity", "Qty"), ("name", "Item"), ("price", "Unit price"), ("amount", "Total")),
        (("quantity", "Qty"), ("name", "Description"), ("price", "Price"), ("amount", "Amount")),
        (("code", "Code"), ("name", "Article"), ("quantity", "Quantity"), ("price", "Price"), ("amount", "Amount")),
        (("number", "No."), ("name", "Product"), ("quantity", "Qty"), ("price", "Each"), ("amount", "Sum")),
        (("number", "#"), ("name", "Description"), ("quantity", "Hours"), ("price", "Rate"), ("amount", "Amount")),
        (("name", "Item"), ("quantity", "Qty"), ("price", "Price")),
        (("name", "Item"), ("price", "Price"), ("quantity", "Quantity"), ("amount", "Total")),
        (("name", "Article"), ("price", "Price")),
    ),
    (
        (("quantity", "Pcs"), ("name", "Position"), ("price", "Price each"), ("amount", "Value")),
        (("code", "Art. no."), ("name", "Name"), ("price", "Price"), ("quantity", "Ordered"), ("amount", "Line total")),
    ),
)
ROLES: dict[str, tuple[str, ...]] = {  # of heads that are composed, outside of split "test"
    "name": ("Description", "Item", "Product", "Article", "Goods", "Service", "Designation", "Details", "What", "Title", "Text"),
    "quantity": ("Qty", "Quantity", "Units", "Hours", "Count", "Number", "Pieces", "QTY", "Days", "Times"),
    "price": ("Price", "Unit price", "Each", "Rate", "Per unit", "Unit cost", "Single", "Price/unit", "Cost", "Tariff"),
    "amount": ("Amount", "Total", "Sum", "Extended", "Net", "Line sum", "Subtotal", "Result", "Payable"),
    "code": ("Code", "SKU", "Ref.", "ID", "Key", "Article no.", "Item no."),
    "number": ("No.", "#", "Pos.", "Row", "Nr."),
}
COMPOSED_ROLES = tuple(
    (
        "name quantity price amount|quantity name price amount|name price quantity amount|name price amount|name quantity amount|"
        "number name quantity price amount|code name quantity price amount|number code name price|name code quantity price amount|"
        "price name quantity|name price|quantity price name amount|amount name quantity price|number name amount"
    ).split("|")
)
INVENTED_HEADS, COMPOSED_HEADS = 0.35, 0.45  # shares outside of split "test", whose columns are called by words not heard before
TOTAL_LABELS = Choice(("Total", "TOTAL", "Sum", "Total"), ("Overall", "All"))


HELD_OUT_HEADS = {
    head.split(" ")[0].capitalize()
    for choice in (INTEGERS, AMOUNTS, PERCENTAGES, DATES, TIMES, CODES, FLAGS, PLACES, PEOPLE, STATUSES)
    for head in choice.held_out
} | {head for head, _ in MEASURES.held_out}


class Column(NamedTuple):
    """One column: its head as printed, its cells, and where they are numbers their values in units of the last digit."""

    head: str
    kind: str  # name, integer, money, percent, measure, date, code, flag, text, number (of the row)
    cells: tuple[str, ...]
    values: tuple[int, ...] = ()
    notation: Notation = Notation()
    align: str = "left"

    @property
    def said(self) -> str:
        """The head as somebody types it, without the unit."""
        return self.head.split(" (")[0].lower()


class Sheet(NamedTuple):
    """A table: `key` is the column that names the rows; `total` holds the cells of a last row, "" where there are none."""

    columns: tuple[Column, ...]
    key: int
    subject: str
    total: tuple[str, ...] = ()
    uniform: bool = False  # the columns beside the first hold the same quantity, so that a row can be added up

    @property
    def head(self) -> tuple[str, ...]:
        return tuple(column.head for column in self.columns)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        return list(zip(*[column.cells for column in self.columns], strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        return self.columns[self.key].cells


def article(content: Content) -> str:
    """An article's name, every second time with a size, a count or a colour: "Chain, 9 speed", "Inner tube 700 x 32"."""
    name, rng = content.product(), content.rng
    if content.chance(0.45):
        return name
    n, unit = rng.randint(1, 99), content.one(("kg", "g", "ml", "cm", "mm", "l", "m", "pcs", "W", "V"))
    word = content.word().lower()
    return content.one(
        (
            f"{name}, {rng.randint(2, 12)} {word}",
            f"{name}, {n} {unit}",
            f"{name} {rng.choice((20, 26, 28, 100, 200, 400, 700))} x {n}",
            f"{name} {n} {unit}",
            f"{name} {rng.randint(2, 24)}-pack",
            f"{name}, {word}",
            f"{name} ({word})",
            f"{name} {n}x{rng.randint(2, 90)} {unit}",
            f"{name} {content.letters(1)}{rng.randint(1, 99)}",
            f"{name} No. {rng.randint(1, 20)}",
            f"{name}, {word}, {rng.randint(1, 9)} {unit}",
        )
    )


def distinct_names(content: Content, make: Callable[[Content], str], count: int) -> tuple[str, ...]:
    """`count` names none of which contains another. Raises Overfull."""
    names: list[str] = []
    for _ in range(count * 6):
        name = make(content)
        if not any(name.casefold() in n.casefold() or n.casefold() in name.casefold() for n in names):
            names.append(name)
        if len(names) == count:
            return tuple(names)
    raise Overfull("row names are not distinct")


def numbers(head: str, kind: str, values: Sequence[int], notation: Notation, unit: str = "") -> Column:
    """A column of numbers; a `unit` stands in the head."""
    printed = notation._replace(prefix="", suffix="") if unit else notation
    return Column(f"{head} ({unit})" if unit else head, kind, tuple(map(printed.full, values)), tuple(values), printed)


def _integer(content: Content, rows: int) -> Column:
    largest = content.one((20, 99, 99, 500, 9999, 99999))
    values = [content.rng.randint(largest // 20, largest) for _ in range(rows)]
    return numbers(pick_head(content, INTEGERS), "integer", values, Notation(group=content.one(("", ","))))


def _money(content: Content, rows: int, money: Notation) -> Column:
    scale = content.one((1, 1, 1, 7, 100))
    values = [content.cents() * scale for _ in range(rows)]
    unit = (money.prefix or money.suffix).strip() if content.chance(0.3) else ""
    return numbers(pick_head(content, AMOUNTS), "money", values, money, unit)


def _percent(content: Content, rows: int) -> Column:
    decimals = content.one((0, 0, 1))
    values = [content.rng.randint(0, 100 * 10**decimals) for _ in range(rows)]
    return numbers(pick_head(content, PERCENTAGES), "percent", values, Notation(decimals, suffix="%"), "%" if content.chance(0.25) else "")


def _measure(content: Content, rows: int) -> Column:
    measure = MEASURES.pick(content.rng, content.split)
    assert isinstance(measure, tuple)
    head, unit = measure
    head = pick_head(content, Choice((head,)))
    decimals, largest = content.one((0, 1, 1, 2)), content.one((99, 999, 4000))
    values = [content.rng.randint(largest // 30, largest) for _ in range(rows)]
    return numbers(head, "measure", values, Notation(decimals, suffix=f" {unit}"), unit if content.chance(0.6) else "")


def _flag(content: Content, rows: int) -> Column:
    words = FLAG_WORDS.pick(content.rng, content.split)
    assert isinstance(words, tuple)
    return Column(pick_head(content, FLAGS), "flag", tuple(content.one(words) for _ in range(rows)))


def _date(content: Content, rows: int) -> Column:
    year, form = content.rng.randint(1998, 2029), content.rng.randrange(4)
    cells = []
    for _ in range(rows):
        m, d = content.rng.randint(1, 12), content.rng.randint(1, 28)
        cells.append((f"{year}-{m:02d}-{d:02d}", f"{d:02d}.{m:02d}.{year}", f"{d} {MONTHS[m - 1][:3]}", f"{m:02d}/{d:02d}/{year}")[form])
    return Column(pick_head(content, DATES), "date", tuple(cells))


def _time(content: Content, rows: int) -> Column:
    start, form = content.rng.randint(300, 1000), content.one(("{:02d}:{:02d}", "{:02d}:{:02d}", "{}:{:02d}", "{:02d}.{:02d}"))
    minutes = [(start + content.rng.randint(0, 420)) % 1440 for _ in range(rows)]
    if content.chance(0.6):
        minutes.sort()
    return Column(pick_head(content, TIMES), "date", tuple(form.format(*divmod(m, 60)) for m in minutes))


def _text(content: Content, rows: int) -> Column:
    statuses = ("open", "closed", "paid", "late", "new", "done")
    choice, make = content.one(
        (
            (PLACES, lambda: content.town()),
            (PEOPLE, lambda: content.person()),
            (STATUSES, lambda: content.one(statuses)),
            (CODES, lambda: content.code()),
        )
    )
    kind = "code" if choice is CODES else "flag" if choice is STATUSES else "text"
    return Column(pick_head(content, choice), kind, tuple(make() for _ in range(rows)))


def pick(content: Content, choice: Choice) -> str:
    """A piece that is a text."""
    return str(choice.pick(content.rng, content.split))


def pick_head(content: Content, choice: Choice) -> str:
    """What a column is called; outside of split "test" now and then any word or two, for a head says nothing that its cells do not."""
    if content.split == "test" or not content.chance(INVENTED_HEADS):
        return pick(content, choice)
    head = content.label()
    return head if head.split(" ")[0] not in HELD_OUT_HEADS else pick(content, choice)


def draw_sheet(content: Content, money: Notation) -> Sheet:
    """A table of 2 to 6 columns about things, people or times."""
    head = content.one(tuple(SUBJECTS))
    subject, make = SUBJECTS[head]
    if content.chance(0.2):
        return _draw_periods(content, money, head)
    rows = content.rng.randint(2, 10 if head not in ("Day", "Month") else 6)
    first = Column(head, "name", distinct_names(content, make, rows))
    makers: tuple[Callable[[], Column], ...] = (
        *(lambda: _integer(content, rows), lambda: _integer(content, rows), lambda: _money(content, rows, money)),
        *(lambda: _percent(content, rows), lambda: _measure(content, rows), lambda: _date(content, rows), lambda: _time(content, rows)),
        *(lambda: _flag(content, rows), lambda: _text(content, rows), lambda: _text(content, rows)),
    )
    columns, wanted = [first], content.rng.choices((2, 3, 4, 5, 6), (16, 30, 28, 16, 10))[0]
    for _ in range(wanted * 3):
        column = content.one(makers)()
        if all(column.said not in c.said and c.said not in column.said for c in columns):
            columns.append(column)
        if len(columns) == wanted:
            break
    return _with_total(content, Sheet(tuple(columns), 0, subject))


def _draw_periods(content: Content, money: Notation, head: str) -> Sheet:
    """Rows by quarters, weekdays or years, all of one quantity."""
    heads = PERIODS.pick(content.rng, content.split)
    assert isinstance(heads, tuple)
    subject, make = SUBJECTS[head if head not in ("Month", "Day", "Year") else "Product"]
    heads = heads[: content.rng.randint(2, len(heads))]
    rows, largest = content.rng.randint(2, 8), content.one((20, 99, 500, 9999))
    notation = content.one((Notation(group=","), Notation(), money))
    names = distinct_names(content, make, rows)
    columns = [Column(subject.capitalize(), "name", names)]
    for text in heads:
        columns.append(numbers(text, "integer", [content.rng.randint(1, largest) for _ in range(rows)], notation))
    return _with_total(content, Sheet(tuple(columns), 0, subject, uniform=True), 0.2)


def _with_total(content: Content, sheet: Sheet, share: float = 0.15) -> Sheet:
    """Sometimes with a last row of sums, where all columns of numbers can be added."""
    addable = [c.kind in ("integer", "money") for c in sheet.columns]
    if len(sheet.names) < 3 or not any(addable) or not content.chance(share):
        return sheet
    sums = [c.notation.full(sum(c.values)) if can else "" for c, can in zip(sheet.columns, addable, strict=True)]
    sums[sheet.key] = pick(content, TOTAL_LABELS)
    return sheet._replace(total=tuple(sums))


def draw_items(content: Content, money: Notation) -> Sheet:
    """Articles with prices and mostly quantities, as on invoices and price lists."""
    roles = ITEM_HEADS.pick(content.rng, content.split)
    assert isinstance(roles, tuple)
    if content.split != "test" and content.chance(COMPOSED_HEADS):
        composed = tuple([(role, content.one(ROLES[role])) for role in content.one(COMPOSED_ROLES).split(" ")])
        heads = [head.casefold() for _, head in composed]
        if not any(a in b for a in heads for b in heads if a is not b):  # "No." could be that of "Item no."
            roles = composed
    rows = content.rng.choices(range(1, 10), (4, 8, 14, 16, 16, 12, 8, 6, 4))[0]
    names = distinct_names(content, article, rows)
    quantities = [content.rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12, 24)) for _ in range(rows)]
    prices = [content.cents() * content.rng.choice((1, 1, 1, 5)) for _ in range(rows)]
    unit = (money.prefix or money.suffix).strip() if content.chance(0.15) else ""
    columns = {
        "name": lambda head: Column(head, "name", names),
        "number": lambda head: Column(head, "number", tuple(str(k + 1) for k in range(rows))),
        "code": lambda head: Column(head, "code", distinct_names(content, Content.code, rows)),
        "quantity": lambda head: numbers(head, "integer", quantities, Notation()),
        "price": lambda head: numbers(head, "money", prices, money, unit),
        "amount": lambda head: numbers(head, "money", [q * p for q, p in zip(quantities, prices, strict=True)], money, unit),
    }
    drawn = tuple(columns[role](head) for role, head in roles)
    return Sheet(drawn, [role for role, _ in roles].index("name"), "item")
