"""The lower part of a receipt: sums, tax and discount, payment, and what is said at the foot.

Pieces marked as held out appear in split "test" only.
"""

from kimi_vl.training.synth.content import Choice
from kimi_vl.training.synth.documents.receipts import Fact
from kimi_vl.training.synth.documents.rows import Row
from kimi_vl.training.synth.documents.scribes import Scribe

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
        *("Total owed", "Amount owed", "Total charge", "Sum due", "Total bill", "Bill amount", "Order amount", "To settle", "Altogether"),
        *("Total cost", "Sale amount", "Receipt total", "Check total", "Now due", "Please pay", "Owing", "Total owing", "TOTAL OWED"),
        *("Total of sale", "Amount to settle", "All together", "Total charged", "In all", "Total now", "Bill"),
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
TOTAL_FORM = Choice(("pair", "pair", "pair", "pair", "bar", "center", "two rows", "boxed"), ("left",))
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


def write_totals(scribe: Scribe) -> None:
    """Subtotal, discount and tax as far as they are printed, and the total, which is wrong on one receipt in five."""
    paper, content = scribe.paper, scribe.content
    paper.subtotal = sum(item.amount for item in paper.items)
    rate = content.one((5, 6, 7, 8, 10, 15, 19, 20, 25))
    taxed = content.rng.random()
    cut = content.one((5, 10, 15, 20)) if content.chance(0.12) else 0
    paper.discount = paper.subtotal * cut // 100
    if taxed < 0.4:
        paper.tax = ((paper.subtotal - paper.discount) * rate + 50) // 100
    if paper.discount or paper.tax or content.chance(0.25):
        _write_amount(scribe, "subtotal", scribe.label(SUBTOTAL), paper.subtotal)
    if paper.discount:
        _write_amount(scribe, "discount", scribe.label(DISCOUNT, cut), -paper.discount)
    if paper.tax:
        _write_amount(scribe, "tax", scribe.label(TAX, rate), paper.tax)
    paper.total = paper.printed_total = paper.subtotal - paper.discount + paper.tax
    if content.chance(0.2):
        paper.printed_total = max(1, paper.total + content.one((-1000, -100, -10, 10, 100, 200, 1000, 90)))
    if content.chance(0.25):
        scribe.divide()
    _write_total(scribe)
    if 0.4 <= taxed < 0.55:
        _write_amount(scribe, "tax", scribe.label(INCLUDED), (paper.printed_total * rate + 50) // (100 + rate))


def write_payment(scribe: Scribe) -> None:
    """The kind of card, or the cash that was given and the change."""
    content, paper, due = scribe.content, scribe.paper, scribe.paper.printed_total
    if content.chance(0.5):
        kind = scribe.label(CARDS)
        _write_amount(scribe, "payment", kind, due)
        paper.facts["payment"] = Fact(kind, paper.facts["payment"].row)
        return
    step = content.one((100, 500, 1000, 2000, 5000, 1))
    given = -(-due // step) * step
    label = scribe.label(CASH)
    _write_amount(scribe, "tendered", label, given)
    if "cash" in label.casefold():
        paper.facts["payment"] = Fact(label, paper.facts["tendered"].row)
    if given > due or content.chance(0.5):
        _write_amount(scribe, "change", scribe.label(CHANGE), given - due)


def write_foot(scribe: Scribe) -> None:
    """Points, codes, thanks and conditions, or nothing."""
    content, rows = scribe.content, scribe.paper.rows
    if content.chance(0.25):
        line = scribe.extra(AFTERWARDS)
        label, _, value = line.rpartition(" ")
        kind = "pair" if content.chance(0.4) and label else content.one(("left", scribe.align, "center"))
        rows.append(Row((label, value) if kind == "pair" else (line,), kind))
    for _ in range(scribe.rng.choice((0, 0, 1, 1, 2))):
        if content.chance(0.5):
            scribe.divide()
        line = scribe.label(FOOTER)
        if all(row.text != line for row in rows):
            rows.append(Row((line,), content.one(("center", "center", scribe.align))))


def _write_amount(scribe: Scribe, key: str, label: str, cents: int) -> None:
    printed = scribe.amount(cents)
    if cents < 0 and scribe.trailing:
        printed = f"{scribe.amount(-cents)}-"
    scribe.paper.note(key, printed, Row((label + scribe.colon, printed), "pair"))


def _write_total(scribe: Scribe) -> None:
    """The total, which may stand on a bar, by itself in the middle, or below its label."""
    content, paper = scribe.content, scribe.paper
    form, label, printed = str(TOTAL_FORM.pick(scribe.rng, scribe.split)), scribe.label(TOTAL), scribe.amount(paper.printed_total)
    weight = content.one(("bold", "bold", "plain", "big"))
    if form in ("pair", "bar", "boxed"):
        paper.note("total", printed, Row((label + scribe.colon, printed), form, weight))
    elif form == "two rows":
        align = content.one(("left", "center"))
        paper.rows.append(Row((label + scribe.colon,), align))
        paper.note("total", printed, Row((printed,), align, weight))
        paper.facts["total"] = Fact(printed, f"{label}{scribe.colon}\n{printed}")
    else:
        paper.note("total", printed, Row((f"{label}{content.one((': ', ' ', ' = '))}{printed}",), form, weight))
