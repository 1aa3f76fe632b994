"""The head of a receipt: the shop and how it can be reached, number, date and time, who served, and what a till adds.

Pieces marked as held out appear in split "test" only, so that a score there is one on layouts never trained on.
"""

from collections.abc import Callable

from kimi_vl.training.synth.content import Choice
from kimi_vl.training.synth.documents.habits import drawn_date, drawn_time
from kimi_vl.training.synth.documents.receipts import Fact
from kimi_vl.training.synth.documents.rows import Row
from kimi_vl.training.synth.documents.scribes import Scribe

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
        *("Receipt code {}", "Number: {}", "Rcpt. {}", "Bon no. {}", "Bill ref. {}", "Sale ID: {}", "Purchase no. {}", "Order ref {}"),
        *("Receipt: {}", "RECEIPT {}", "Number {}", "Bill nr {}", "Order id {}", "Docket no. {}", "NO. {}", "Sale {}", "Purchase ref. {}"),
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
        *("Sold on {}", "Bought on {}", "Day of sale: {}", "Billed {}", "Visit of {}", "Paid on {}", "Issued {}", "The {}"),
    ),
    ("Printed {}", "Date of sale: {}"),
)
TIME = Choice(
    ("{}", "Time: {}", "Time {}", "TIME: {}", "Time : {}", "TIME {}", "Order time: {}", "Clock: {}", "Local time {}"), ("at {}", "Hour: {}")
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


def write_head(scribe: Scribe) -> None:
    """The rows above the items, in one of many orders, each part only now and then."""
    for key in str(HEADER_ORDER.pick(scribe.rng, scribe.split)):
        chance, write = _PARTS[key]
        if scribe.content.chance(chance):
            write(scribe)
            if scribe.content.chance(0.12):
                scribe.divide()


def shop_name(scribe: Scribe) -> str:
    """A company, or somebody's name, a word or a town with the kind of shop."""
    content = scribe.content
    if content.chance(0.5):
        return content.company()
    named = content.one((content.person, lambda: content.person().split(" ")[-1], lambda: content.word().capitalize(), content.town))()
    return named + str(SHOP_KINDS.pick(scribe.rng, scribe.split))


def write_address(scribe: Scribe) -> None:
    """Street and town on one row or two; it is a fact only where it has one row."""
    content, paper = scribe.content, scribe.paper
    street = scribe.cased(content.street())
    if content.chance(0.3):
        street = f"{street}, {scribe.cased(content.town())}"
        paper.note("address", street, Row((street,), scribe.align))
        return
    paper.note("address", street, Row((street,), scribe.align))
    if content.chance(0.7):
        paper.rows.append(Row((scribe.cased(content.place()),), scribe.align))
        del paper.facts["address"]


def write_phone(scribe: Scribe) -> None:
    """A phone number, now and then with a site below it."""
    number = scribe.content.phone()
    scribe.paper.note("phone", number, Row((scribe.label(PHONE).format(number),), scribe.align))
    if scribe.content.chance(0.15):
        scribe.paper.rows.append(Row((scribe.content.site(),), scribe.align))


def _shop(scribe: Scribe) -> None:
    name = scribe.cased(shop_name(scribe))
    scribe.paper.note("shop", name, Row((name,), scribe.align, scribe.content.one(("big", "big", "bold", "plain"))))


def _number(scribe: Scribe) -> None:
    code = scribe.content.code()
    _labelled(scribe, "number", scribe.label(RECEIPT_NO), code, scribe.content.one((scribe.align, "left")))


def _cashier(scribe: Scribe) -> None:
    name = scribe.cased(scribe.content.person().split(" ")[0])
    _labelled(scribe, "cashier", scribe.label(CASHIER), name, scribe.content.one((scribe.align, "left")))


def _labelled(scribe: Scribe, key: str, form: str, value: str, align: str) -> None:
    """A label with its value: in one text, at the two ends of a row, or above one another."""
    draw, label, paper = scribe.rng.random(), form.replace("{}", "").strip(" :"), scribe.paper
    if not label or draw < 0.72 or not form.endswith("{}"):
        paper.note(key, value, Row((form.format(value),), align))
    elif draw < 0.9:
        paper.note(key, value, Row((label + scribe.colon, value), "pair"))
    else:
        paper.rows.append(Row((label,), align))
        paper.note(key, value, Row((value,), align))
        paper.facts[key] = Fact(value, f"{label}\n{value}")


def _extras(scribe: Scribe) -> None:
    """Tables, tills and greetings, one or two on a row."""
    texts = [scribe.extra(EXTRAS) for _ in range(scribe.rng.choice((1, 1, 2)))]
    if len(texts) == 2 and texts[0] != texts[1] and scribe.content.chance(0.6):
        scribe.paper.rows.append(Row((texts[0], texts[1]), "pair"))
    else:
        scribe.paper.rows.append(Row((texts[0],), scribe.content.one((scribe.align, "left", "center"))))


def _date(scribe: Scribe) -> None:
    """Date and time: in a grid, each with its label, or on one row or two."""
    content, paper = scribe.content, scribe.paper
    date, time = content.date(), content.time()
    if content.chance(0.6):
        date, time = drawn_date(content), drawn_time(content)
    draw, align = scribe.rng.random(), content.one((scribe.align, "left"))
    if draw > 0.88:
        return _date_grid(scribe, date, time)
    if draw > 0.78:
        _labelled(scribe, "date", scribe.label(DATE), date, align)
        return _labelled(scribe, "time", scribe.label(TIME), time, align)
    draw /= 0.78
    dated, timed = scribe.label(DATE).format(date), scribe.label(TIME).format(time)
    if draw < 0.3:
        paper.note("date", date, Row((dated,), align))
    elif draw < 0.6:
        row = Row((dated, timed), "pair")
        paper.note("date", date, row)
        paper.facts["time"] = Fact(time, row.text)
    elif draw < 0.85:
        row = Row((f"{dated} {timed}",), align)
        paper.note("date", date, row)
        paper.facts["time"] = Fact(time, row.text)
    else:
        paper.note("date", date, Row((dated,), align))
        paper.note("time", time, Row((timed,), align))


def _date_grid(scribe: Scribe, date: str, time: str) -> None:
    """Date and time at the two ends of a row, their labels above them."""
    heads = [scribe.label(choice).replace("{}", "").strip(" :") or word for choice, word in ((DATE, "Date"), (TIME, "Time"))]
    pairs = [("date", heads[0], date), ("time", heads[1], time)]
    if scribe.content.chance(0.3):
        pairs.reverse()
    upper, lower = Row(tuple(p[1] for p in pairs), "pair"), Row(tuple(p[2] for p in pairs), "pair")
    scribe.paper.rows += [upper, lower]
    for key, _, value in pairs:
        scribe.paper.facts[key] = Fact(value, f"{upper.text}\n{lower.text}")


_PARTS: dict[str, tuple[float, Callable[[Scribe], None]]] = {  # how often each part of HEADER_ORDER is there, and who writes it
    "s": (0.95, _shop),
    "a": (0.65, write_address),
    "p": (0.55, write_phone),
    "n": (0.6, _number),
    "d": (0.85, _date),
    "t": (0.85, _date),
    "c": (0.3, _cashier),
    "x": (0.6, _extras),
}
