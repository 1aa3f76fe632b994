"""Tables of papers: goods with prices under heads of many names, accounts with a balance, timetables, lists of pay.

Pieces marked as held out appear in split "test" only.
"""

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.habits import Habits
from kimi_vl.training.synth.documents.sheets import Column, Sheet, article, distinct_names, numbers, pick
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.scene import Overfull

HEADS: dict[str, Choice] = {
    "number": Choice(("No.", "#", "Pos.", "Line", "Pos", "Nr.", "Item #"), ("Seq.", "Ln.")),
    "code": Choice(
        ("Code", "SKU", "Article no.", "Item no.", "Ref", "Product code", "Part number", "ID", "Item code", "Model"),
        ("Stock key", "Cat. no."),
    ),
    "name": Choice(
        (
            "Description",
            "Item",
            "Product",
            "Article",
            "Details",
            "Service",
            "Item description",
            "Particulars",
            "Product name",
            "DESCRIPTION",
        ),
        ("Denomination", "Commodity"),
    ),
    "quantity": Choice(
        ("Qty", "Quantity", "QTY", "Units", "Count", "Qty.", "Pieces", "Number", "Hours", "Quantity ordered", "Delivered"),
        ("How many", "Tally"),
    ),
    "unit": Choice(("Unit", "UoM", "Unit of measure", "Per", "U/M"), ("Measure",)),
    "price": Choice(
        (
            "Price",
            "Unit price",
            "Price/unit",
            "Each",
            "Unit cost",
            "Net price",
            "Cost",
            "Item price",
            "Unit Price",
            "Price per unit",
            "Unit",
        ),
        ("Single price", "At"),
    ),
    "discount": Choice(("Disc.", "Discount", "Disc. %", "Discount %", "Less"), ("Allowance",)),
    "tax": Choice(("VAT", "Tax", "VAT %", "Tax rate", "GST", "Tax %", "VAT rate"), ("Duty",)),
    "amount": Choice(
        ("Amount", "Total", "Sum", "Net amount", "Line amount", "Total price", "Ext. price", "Subtotal", "AMOUNT", "Item total", "Net"),
        ("Extended", "Makes"),
    ),
}
ORDERS = Choice(
    (
        ("name", "quantity", "price", "amount"),
        ("quantity", "name", "price", "amount"),
        ("name", "price", "quantity", "amount"),
        ("number", "name", "quantity", "price", "amount"),
        ("number", "code", "name", "quantity", "price", "amount"),
        ("code", "name", "quantity", "price", "amount"),
        ("name", "code", "quantity", "price", "amount"),
        ("quantity", "code", "name", "price", "amount"),
        ("quantity", "unit", "name", "price", "amount"),
        ("number", "name", "quantity", "unit", "price", "amount"),
        ("name", "quantity", "unit", "price", "amount"),
        ("name", "quantity", "price", "tax", "amount"),
        ("name", "quantity", "price", "discount", "amount"),
        ("number", "name", "tax", "quantity", "price", "amount"),
        ("code", "name", "quantity", "price", "tax", "amount"),
        ("name", "quantity", "price", "amount", "tax"),
        ("code", "quantity", "name", "price", "discount", "amount"),
        ("name", "tax", "amount"),
        ("number", "name", "amount"),
        ("name", "quantity", "amount"),
        ("quantity", "name", "amount"),
        ("name", "amount"),
        ("code", "name", "amount"),
        ("number", "code", "name", "quantity", "unit", "price", "amount"),
    ),
    (("price", "quantity", "name", "amount"), ("name", "unit", "price", "quantity", "discount", "amount"), ("code", "amount", "name")),
)
PLAIN = Choice(*[tuple(order for order in orders if order[-1] == "amount" and "discount" not in order) for orders in ORDERS])
SHIPPED = Choice(
    (
        ("quantity", "name"),
        ("name", "quantity"),
        ("code", "name", "quantity"),
        ("number", "name", "quantity"),
        ("number", "code", "name", "quantity", "unit"),
        ("code", "name", "unit", "quantity"),
        ("quantity", "unit", "name", "code"),
    ),
    (("name", "code", "unit", "quantity"),),
)
PRICED = Choice(
    (
        ("name", "price"),
        ("name", "price"),
        ("code", "name", "price"),
        ("name", "unit", "price"),
        ("number", "name", "price"),
        ("name", "code", "price"),
    ),
    (("price", "name"), ("unit", "name", "price")),
)
UNITS = ("pc", "kg", "h", "box", "m", "set", "pack", "l", "ea", "pcs", "roll", "day")
ACCOUNT_NAMES = Choice(("Description", "Details", "Text", "Transaction", "Entry", "Purpose"), ("Remark", "Narrative"))
ACCOUNT_SUMS = Choice(
    (
        ("Amount",),
        ("Debit", "Credit"),
        ("Out", "In"),
        ("Amount", "Balance"),
        ("Debit", "Credit", "Balance"),
        ("Paid out", "Paid in", "Balance"),
    ),
    (("Minus", "Plus"), ("Movement", "Standing")),
)
STOPS = Choice(("Stop", "Station", "Town", "Halt", "From"), ("Call at", "Port"))
PAY = Choice(
    (
        "Basic salary",
        "Overtime",
        "Bonus",
        "Travel allowance",
        "Income tax",
        "Pension",
        "Health insurance",
        "Meal allowance",
        "Holiday pay",
        "Union dues",
        "Commission",
        "Night shift",
        "Church tax",
        "Sick pay",
        "Parking fee",
    ),
    ("Housing aid", "Loan repayment", "Shift premium"),
)
PAY_HEADS = Choice(
    (("Item", "Amount"), ("Description", "Amount"), ("Pay element", "Sum"), ("Element", "Hours", "Amount")), (("Component", "Yielded"),)
)


def role_of(head: str) -> str:
    """The role whose heads include `head`, "" where there is none or more than one."""
    folded = head.split(" (")[0].casefold()
    roles = [role for role, choice in HEADS.items() if folded in [text.casefold() for text in (*choice.seen, *choice.held_out)]]
    return roles[0] if len(roles) == 1 else ""


def names_of_role(role: str) -> list[str]:
    """What a column of this role may be called, as somebody says it."""
    return list(dict.fromkeys(head.casefold().strip(" .#%") for head in HEADS[role].seen if len(head) > 2))


def heads_for(content: Content, roles: tuple[str, ...]) -> dict[str, str]:
    """A head for each role, none of which contains another. Raises Overfull."""
    heads: dict[str, str] = {}
    for role in roles:
        for _ in range(8):
            head = pick(content, HEADS[role])
            folded = head.casefold()
            if all(folded not in other.casefold() and other.casefold() not in folded for other in heads.values()):
                heads[role] = head
                break
        else:
            raise Overfull(f"no head is left for {role}")
    return heads


def draw_goods(content: Content, money: Notation, orders: Choice = ORDERS, *, whole: bool = False) -> Sheet:
    """Articles in a table of 2 to 7 columns. Amounts are quantity times price less discount, rounded to cents; quantities
    are printed with decimals now and then, unless they must be `whole`."""
    rng = content.rng
    roles = orders.pick(rng, content.split)
    assert isinstance(roles, tuple)
    heads = heads_for(content, roles)
    rows = rng.choices(range(1, 11), (4, 8, 14, 16, 16, 12, 8, 6, 4, 3))[0]
    names = distinct_names(content, article, rows)
    counts = [rng.choice((1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12, 24, 50, 100)) if "quantity" in roles else 1 for _ in range(rows)]
    prices = [content.cents() * rng.choice((1, 1, 1, 5, 20)) for _ in range(rows)]
    cuts = [rng.choice((0, 0, 5, 10, 15, 20)) if "discount" in roles else 0 for _ in range(rows)]
    amounts = [(n * p * (100 - cut) + 50) // 100 for n, p, cut in zip(counts, prices, cuts, strict=True)]
    rates = [rng.choice((0, 5, 7, 19)) if content.chance(0.3) else 20 for _ in range(rows)]
    unit = (money.prefix or money.suffix).strip() if content.chance(0.15) else ""
    percent = Notation(suffix=content.one(("%", "%", " %")))
    decimals = 0 if whole else content.one((*(0,) * 10, 2, 3))
    printed_counts = [n * 10**decimals for n in counts]
    columns = {
        "name": lambda h: Column(h, "name", names),
        "number": lambda h: Column(h, "number", tuple(str(k + 1) for k in range(rows))),
        "code": lambda h: Column(h, "code", distinct_names(content, Content.code, rows)),
        "quantity": lambda h: numbers(h, "integer", printed_counts, Notation(decimals, money.point)),
        "unit": lambda h: Column(h, "text", tuple(content.one(UNITS) for _ in range(rows))),
        "price": lambda h: numbers(h, "money", prices, money, unit),
        "discount": lambda h: numbers(h, "percent", cuts, percent),
        "tax": lambda h: numbers(h, "percent", rates, percent),
        "amount": lambda h: numbers(h, "money", amounts, money, unit),
    }
    drawn = tuple(columns[role](heads[role]) for role in roles)
    return Sheet(drawn, roles.index("name"), "item")


def draw_account(content: Content, money: Notation, habits: Habits) -> Sheet:
    """Movements of an account with dates, and perhaps what is left after each."""
    rng, rows = content.rng, content.rng.randint(3, 12)
    sums = ACCOUNT_SUMS.pick(rng, content.split)
    assert isinstance(sums, tuple)
    names = distinct_names(content, lambda c: c.one((c.company, c.person, c.product))(), rows)
    moves = [content.cents() * rng.choice((1, 5, 20)) * rng.choice((-1, -1, 1)) for _ in range(rows)]
    balance, balances = content.cents() * 200 + sum(abs(m) for m in moves), []
    for move in moves:
        balance += move
        balances.append(balance)
    columns = [Column(content.one(("Date", "Day", "Booked", "Posted")), "date", tuple(habits.date() for _ in range(rows)))]
    columns.append(Column(pick(content, ACCOUNT_NAMES), "name", names))
    if content.chance(0.3):
        columns.append(Column(content.one(("Ref", "Code", "Ref.", "No.")), "code", distinct_names(content, Content.code, rows)))
    if len(sums) == 1 or sums[1] in ("Balance", "Standing"):
        columns.append(numbers(sums[0], "balance", moves, money))
    else:
        columns += [numbers(head, "balance", [max(0, sign * m) for m in moves], money) for head, sign in zip(sums, (-1, 1), strict=False)]
    if sums[-1] in ("Balance", "Standing"):
        columns.append(numbers(sums[-1], "balance", balances, money))
    if content.chance(0.2):
        columns[:2] = columns[1::-1]
    return Sheet(tuple(columns), next(k for k, c in enumerate(columns) if c.kind == "name"), "entry")


def draw_timetable(content: Content) -> Sheet:
    """Stops with the times at which two to five services leave them."""
    rng, rows = content.rng, content.rng.randint(3, 10)
    names = distinct_names(content, Content.town, rows)
    number = rng.randint(1, 300)
    form = content.one(("{} {}", "{}{}", "{} {}"))
    kind = content.one(("Bus", "Train", "Line", "IC", "S", "Tram", "RE"))
    columns = [Column(pick(content, STOPS), "name", names)]
    start = rng.randint(300, 1100)
    for k in range(rng.randint(2, 5)):
        at, cells = start, []
        for _ in range(rows):
            cells.append(f"{at // 60 % 24:02d}:{at % 60:02d}")
            at += rng.randint(2, 25)
        columns.append(Column(form.format(kind, number + 2 * k), "text", tuple(cells)))
        start += rng.choice((10, 20, 30, 60))
    return Sheet(tuple(columns), 0, "stop")


def draw_pay(content: Content, money: Notation) -> Sheet:
    """Parts of a month's pay."""
    heads = PAY_HEADS.pick(content.rng, content.split)
    assert isinstance(heads, tuple)
    rows = content.rng.randint(3, 7)
    names = distinct_names(content, lambda c: pick(c, PAY), rows)
    amounts = [content.cents() * content.rng.choice((1, 5, 50)) for _ in range(rows)]
    columns = [Column(heads[0], "name", names)]
    if len(heads) == 3:
        columns.append(numbers(heads[1], "integer", [content.rng.randint(1, 170) for _ in range(rows)], Notation()))
    columns.append(numbers(heads[-1], "money", amounts, money))
    return Sheet(tuple(columns), 0, "entry")
