"""What can be asked about a receipt: fields, prices, searches, counts, sums with steps, and what is not on it."""

import re
from collections.abc import Sequence

from kimi_vl.training.synth import traces
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.clerks import HIGHEST, draw_receipt
from kimi_vl.training.synth.documents.extraction_turns import goods_of, items_turn
from kimi_vl.training.synth.documents.invoices import draw_invoice
from kimi_vl.training.synth.documents.lines import ORDINALS
from kimi_vl.training.synth.documents.receipts import Item, Receipt
from kimi_vl.training.synth.questions import ALSO, Draft, Interview
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.traces import Quote

FIELDS = (
    *("total", "total", "date", "time", "shop", "number", "phone", "address", "cashier", "subtotal", "tax", "discount"),
    *("payment", "tendered", "change", "title", "due", "due", "customer", "customer"),
)
ABSENT: dict[str, tuple[str, ...]] = {  # words that must not occur either, before a field without a fact may be called absent
    "phone": (),
    "date": (),
    "time": (),
    "cashier": (),
    "number": ("no.", "#", "ref", "order", "ticket", "receipt:", "invoice"),
    "tax": ("tax", "vat", "gst"),
    "discount": ("discount", "savings", "coupon", "rebate", "voucher"),
    "change": ("change", "returned"),
    "subtotal": ("sub", "net", "goods", "before tax", "items total"),
}
OFTEN = {"date": 4, "tax": 2}  # the absent fields that people ask for most
NAMES_OF = {"phone": "phone number", "number": "receipt number"}
WRONG_TOTALS = 0.2  # share of the receipts whose printed total is wrong (receipt_totals.write_totals)
WRONG_ANSWERS = 0.45  # share of the questions after the total that have such a receipt; the others are asked that much less often
ASKED_OF_RIGHT = WRONG_TOTALS / (1 - WRONG_TOTALS) * (1 - WRONG_ANSWERS) / WRONG_ANSWERS
LONGEST = 7  # items that are added up; the longest working takes about 200 tokens
FEW = 3  # items that are counted or compared at a glance


class ReceiptTurns:
    """Draws turns about one receipt; each maker returns None when the receipt does not allow its question."""

    def __init__(self, content: Content, interview: Interview, receipt: Receipt) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.receipt, self.items = interview, receipt, receipt.items
        self.bare = receipt.money.bare
        self.worked_out = receipt.subtotal - receipt.discount + receipt.tax
        self.right = self.worked_out == receipt.printed_total
        self.audited = len(self.items) < LONGEST and (not self.right or self.rng.random() < ASKED_OF_RIGHT)

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the receipt is poor."""
        makers = (
            *((self.field, 34), (self.price, 12), (self.refusal, 22), (self.sum_some, 10), (self.sum_all, 4), (self.change_from, 5)),
            *((self.quantity, 6), (self.unit, 6), (self.article, 6), (self.count, 4), (self.extreme, 4), (self.item_there, 3)),
            *((self.difference, 4), (self.nth_item, 3), (self.listing, 4), (self.price_there, 3), (self.sum_filtered, 5)),
            *((self.sum_except, 3), (self.count_filtered, 3), (self.cost_of, 4), (self.average, 2), (self.share, 2), (self.tax_right, 2)),
            *((self.enough, 2), (self.more_than, 2), (self.dearer, 2), (self.total_right, 20 if self.audited else 0)),
            (self.extraction, 6),
        )
        # Practised more for being wrong more often: prices of one were right in 44 %, sums without an item in 61, other sums in 80.
        harder = () if self.content.split != "train" else ((self.unit, 6), (self.sum_except, 5), (self.cost_of, 4))
        return self.interview.draw(count, (*makers, *harder))

    # Looked up -------------------------------------------------------------------------------------------------------

    def field(self) -> Turn | None:
        key = self.rng.choice([key for key in FIELDS if key in self.receipt.facts])
        fact = self.receipt.facts[key]
        return self.interview.fact(key, fact.answer, fact.row, purchase="title" not in self.receipt.facts)

    def extraction(self) -> Turn | None:
        return items_turn(self.interview, goods_of(self.receipt))

    def item(self) -> Item:
        return self.rng.choice(self.receipt.items)

    def said(self, name: str) -> str:
        """An article's name as somebody types it."""
        return self.rng.choice((name, name, name, name.lower(), name.title(), f"the {name.lower()}"))

    def price(self) -> Turn | None:
        item = self.item()
        if item.unit_text and item.quantity_text not in ("", "1"):
            return None  # a row with a price each and an amount has two prices
        return self.interview.fact("price", item.amount_text, item.row, "price", item=self.said(item.name))

    def quantity(self) -> Turn | None:
        item = self.item()
        if not item.quantity_text:
            return None
        row = f"{item.quantity_text} x {item.unit_text}" if item.quantity_text not in item.row.split(" ") else item.row
        if row not in self.interview.text:
            return None
        return self.interview.lookup("quantity", item.quantity_text, row, "count", item=self.said(item.name))

    def unit(self) -> Turn | None:
        """The price of one: printed, or the amount divided by the quantity."""
        item = self.item()
        if item.quantity == 1:
            return None
        if not item.unit_text:
            if not item.quantity_text:
                return None
            trace = traces.divide(self.rng, self.bare, self.quote(item), item.quantity)
            return self.interview.work("unit", self.receipt.price(item.unit), trace, "sum", trivial=True, item=self.said(item.name))
        row = item.row if item.unit_text in item.row else f"{item.quantity_text} x {item.unit_text}"
        return self.interview.fact("unit", item.unit_text, row, "price", item=self.said(item.name))

    def article(self) -> Turn | None:
        """Which item has a price; sometimes a price that none has."""
        if self.rng.random() < 0.15:
            price = self.absent_price()
            return self.interview.glance("article", "None.", f"No item costs {price}.", "find", price=price) if price else None
        item = self.item()
        if sum(item.amount_text in (i.amount_text, i.unit_text) for i in self.items) != 1:
            return None
        return self.interview.lookup("article", item.name, item.row, "find", price=self.amount(item.amount))

    def absent_price(self) -> str | None:
        """An amount that is nowhere on the receipt, though mostly much like one that is."""
        cents = (
            self.item().amount + self.rng.choice((-100, -50, -10, 10, 50, 100, 200, 9)) if self.rng.random() < 0.7 else self.content.cents()
        )
        price = self.bare(cents)
        return self.amount(cents) if cents > 0 and self.interview.lacks(price) else None

    def amount(self, cents: int) -> str:
        """An amount as somebody types it."""
        return self.rng.choice((self.bare(cents), self.receipt.price(cents), self.receipt.price(cents)))

    def price_there(self) -> Turn | None:
        """Whether anything has a price."""
        if self.rng.random() < 0.5:
            price = self.absent_price()
            return self.interview.glance("price_there", "No.", f"No item costs {price}.", "find", price=price) if price else None
        item = self.item()
        return self.interview.glance("price_there", "Yes.", item.row, "find", price=self.amount(item.amount))

    def item_there(self) -> Turn | None:
        """Whether an article was bought."""
        if self.rng.random() < 0.5:
            item = self.item()
            return self.interview.glance("item_there", "Yes.", item.row, "find", item=self.said(item.name))
        name = self.absent_item()
        return self.interview.glance("item_there", "No.", f"There is no {name} on it.", "find", item=self.said(name)) if name else None

    def absent_item(self) -> str | None:
        """An article none of whose words are printed."""
        name = self.content.product()
        return name if all(self.interview.lacks(word) for word in name.split(" ")) else None

    def nth_item(self) -> Turn | None:
        k = self.rng.randrange(min(len(self.receipt.items), len(ORDINALS)))
        item = self.receipt.items[k]
        return self.interview.lookup("nth_item", item.name, item.row, "find", nth=ORDINALS[k])

    def listing(self) -> Turn | None:
        """All articles, with or without their prices."""
        items = self.receipt.items
        if len(items) < 2 or len(items) > 8:
            return None
        thought = f"There are {len(items)} items."
        if self.rng.random() < 0.5:
            return self.interview.glance("list_items", "\n".join(i.name for i in items), thought, "find")
        return self.interview.glance("list_prices", self.evidence(items), thought, "find")

    # Worked out ------------------------------------------------------------------------------------------------------

    def evidence(self, items: list[Item]) -> str:
        return "\n".join(f"{i.name} {i.amount_text}" for i in items)

    def quote(self, item: Item) -> Quote:
        return Quote(item.name, item.amount, item.amount_text, item.row)

    def quotes(self, items: Sequence[Item] = ()) -> list[Quote]:
        return [self.quote(item) for item in items or self.items]

    def fact(self, key: str, cents: int) -> Quote:
        """An amount that is printed among the totals."""
        answer, row = self.receipt.facts[key]
        label = row.removesuffix(answer).strip(" \n:")
        return Quote(label or key.capitalize(), cents, answer)

    def some(self, count: int) -> list[Item] | None:
        return self.rng.sample(self.items, count) if len(self.items) >= count else None

    def named(self, items: Sequence[Item]) -> str:
        """ "milk, bread and eggs" """
        *names, last = [self.said(item.name) for item in items]
        return f"{', '.join(names)} and {last}" if names else last

    def sum_some(self) -> Turn | None:
        """Two to four articles by name."""
        items = self.some(self.rng.choice((2, 2, 2, 3, 3, 4)))
        if items is None:
            return None
        trace = traces.add_up(self.rng, self.bare, self.quotes(items))
        answer = self.receipt.price(sum(i.amount for i in items))
        return self.interview.work("sum_some", answer, trace, "sum", trivial=len(items) == 2, items=self.named(items))

    def sum_all(self) -> Turn | None:
        if not 2 <= len(self.items) <= LONGEST:
            return None
        trace = traces.add_up(self.rng, self.bare, self.quotes(), whole=True)
        return self.interview.work("sum_all", self.receipt.price(self.receipt.subtotal), trace, "sum", trivial=len(self.items) == 2)

    def sum_except(self) -> Turn | None:
        if not 3 <= len(self.items) <= LONGEST:
            return None
        quotes = self.quotes()
        k = self.rng.randrange(len(quotes))
        trace = traces.leave_out(self.rng, self.bare, quotes, quotes[k])
        answer = self.receipt.price(self.receipt.subtotal - quotes[k].value)
        return self.interview.work("sum_except", answer, trace, "sum", item=self.said(quotes[k].name))

    def limit(self) -> tuple[int, bool]:
        """A round amount, or the price of an item, and whether more than that is asked for."""
        near = self.item().amount
        return self.rng.choice(
            (near, max(50, near // 100 * 100), (near + 99) // 100 * 100, near // 500 * 500 + 500)
        ), self.rng.random() < 0.6

    def beyond(self, limit: int, above: bool) -> list[Quote]:
        return [q for q in self.quotes() if (q.value > limit if above else q.value < limit)]

    def sum_filtered(self) -> Turn | None:
        """The sum of the items above or below a price."""
        limit, above = self.limit()
        kept = self.beyond(limit, above)
        if not 2 <= len(kept) <= 5:
            return None
        trace = traces.add_beyond(self.rng, self.bare, self.quotes(), limit, above=above)
        answer = self.receipt.price(sum(quote.value for quote in kept))
        return self.interview.work("sum_above" if above else "sum_below", answer, trace, "sum", price=self.amount(limit))

    def count_filtered(self) -> Turn | None:
        """How many items are above or below a price."""
        if len(self.items) < 2:
            return None
        limit, above = self.limit()
        trace = traces.count_beyond(self.rng, self.bare, self.quotes(), limit, above=above)
        answer, easy = str(len(self.beyond(limit, above))), len(self.items) <= FEW
        return self.interview.work(
            "items_above" if above else "items_below", answer, trace, "count", trivial=True, easy=easy, price=self.amount(limit)
        )

    def difference(self) -> Turn | None:
        pair = self.some(2)
        if pair is None or pair[0].amount == pair[1].amount:
            return None
        a, b = sorted(pair, key=lambda i: -i.amount)
        trace = traces.subtract(self.rng, self.bare, self.quote(a), self.quote(b))
        answer = self.receipt.price(a.amount - b.amount)
        return self.interview.work("difference", answer, trace, "sum", trivial=True, a=self.said(a.name), b=self.said(b.name))

    def note(self) -> tuple[int, str]:
        """Money in somebody's hand, in cents and as it is typed."""
        cents = self.rng.choice(
            [n for n in (500, 1000, 2000, 5000, 10000, 20000, 50000) if n * 4 > self.receipt.printed_total][:3] or [100000]
        )
        return cents, self.rng.choice((self.bare(cents), self.receipt.price(cents), str(cents // 100)))

    def due(self) -> Quote | None:
        """The printed total, where it can be quoted."""
        return None if self.interview.lacks(self.receipt.facts["total"].answer) else self.fact("total", self.receipt.printed_total)

    def change_from(self) -> Turn | None:
        due, (note, said) = self.due(), self.note()
        if due is None or note <= due.value:
            return None
        trace = traces.give_change(self.rng, self.bare, due, note)
        return self.interview.work("change_from", self.receipt.price(note - due.value), trace, "sum", trivial=True, note=said)

    def enough(self) -> Turn | None:
        due, (note, said) = self.due(), self.note()
        if due is None or note == due.value:
            return None
        trace = traces.check_limit(self.rng, self.bare, [due], note)
        return self.interview.work("enough", "Yes." if note > due.value else "No.", trace, "check", easy=True, note=said)

    def more_than(self) -> Turn | None:
        """Whether two or three items are above an amount that is near to their sum."""
        items = self.some(self.rng.choice((2, 2, 3)))
        if items is None:
            return None
        total = sum(i.amount for i in items)
        limit = self.rng.choice((total // 100 * 100, total // 100 * 100 + 100, total // 500 * 500 + 500, max(100, total // 500 * 500)))
        if limit in (0, total):
            return None
        trace = traces.check_limit(self.rng, self.bare, self.quotes(items), limit)
        answer = "Yes." if total > limit else "No."
        return self.interview.work("more_than", answer, trace, "check", items=self.named(items), price=self.amount(limit))

    def dearer(self) -> Turn | None:
        pair = self.some(2)
        if pair is None or pair[0].amount == pair[1].amount or any(i.quantity > 1 for i in pair):
            return None
        trace = traces.extreme(self.rng, self.bare, self.quotes(pair), high=True, word="higher")
        name = max(pair, key=lambda i: i.amount).name
        return self.interview.work("dearer", name, trace, "find", easy=True, a=pair[0].name, b=pair[1].name)

    def cost_of(self) -> Turn | None:
        """Several of an item. Where several were bought, the price of one is printed beside the amount, or has to be found."""
        item = self.item()
        pieces = 1 if item.unit_text else item.quantity
        if pieces > 1 and (self.content.split != "train" or not item.quantity_text):
            return None
        count = self.rng.choice((2, 3, 3, 4, 5, 6, 10, 12))
        name = f"{item.name}, each" if item.quantity > 1 and item.unit_text else item.name  # the amount beside it was taken for it
        quote = Quote(name, item.unit * pieces, item.unit_text or item.amount_text, item.row if not item.unit_text else "")
        trace = traces.multiply(self.rng, self.bare, quote, count, pieces=pieces)
        return self.interview.work(
            "cost_of", self.receipt.price(count * item.unit), trace, "sum", count=str(count), item=self.said(item.name)
        )

    def average(self) -> Turn | None:
        n, total = len(self.items), self.receipt.subtotal
        if not 2 <= n <= 6 or total % n or any(i.quantity > 1 for i in self.items):
            return None
        return self.interview.work(
            "average_price", self.receipt.price(total // n), traces.average(self.rng, self.bare, self.quotes()), "sum"
        )

    def share(self) -> Turn | None:
        """So many percent of the total: a tip."""
        due, rate = self.due(), self.rng.choice((5, 10, 10, 10, 15, 20, 20, 50))
        if due is None:
            return None
        trace = traces.percentage(self.rng, self.bare, due, rate)
        answer = self.receipt.price((due.value * rate + 50) // 100)
        return self.interview.work("share_of_total", answer, trace, "sum", rate=str(rate))

    def tax_right(self) -> Turn | None:
        """Whether the tax is at a rate: the one that was used, or another."""
        receipt = self.receipt
        if not receipt.tax or receipt.discount or "subtotal" not in receipt.facts:
            return None
        (true, *_) = [rate for rate in range(1, 51) if (receipt.subtotal * rate + 50) // 100 == receipt.tax] or [0]
        said = re.search(r"(\d+)%", receipt.facts["tax"].row)
        rate = self.rng.choice([r for r in (5, 6, 7, 8, 10, 15, 19, 20, 25) if r != true]) if self.rng.random() < WRONG_ANSWERS else true
        if not rate or said:
            return None  # where the rate is printed, reading it is enough
        right = (receipt.subtotal * rate + 50) // 100 == receipt.tax
        trace = traces.check_percentage(self.rng, self.bare, self.fact("subtotal", receipt.subtotal), rate, self.fact("tax", receipt.tax))
        return self.interview.work("tax_right", "Yes." if right else "No.", trace, "check", rate=str(rate))

    def total_right(self) -> Turn | None:
        """Whether the items come to the printed total; asked either way."""
        receipt, due = self.receipt, self.due()
        if not self.audited or due is None:
            return None
        changes = [
            (sign, self.fact(key, cents)) for sign, key, cents in (("-", "discount", receipt.discount), ("+", "tax", receipt.tax)) if cents
        ]
        trace = traces.check_total(self.rng, self.bare, self.quotes(), changes, due)
        wrongly = self.rng.random() < 0.25
        said, other = ("No", "Yes") if wrongly else ("Yes", "No")
        answer = f"{said}." if self.right else f"{other}, it should be {receipt.price(self.worked_out)}."
        return self.interview.work("total_wrong" if wrongly else "total_right", answer, trace, "check")

    def count(self) -> Turn | None:
        names = traces.enumerate_names([item.name for item in self.items])
        return self.interview.work("count_items", str(len(self.items)), names, "count", trivial=True, easy=len(self.items) <= FEW)

    def extreme(self) -> Turn | None:
        items, low = self.items, self.rng.random() < 0.5
        amounts = sorted(i.amount for i in items)
        best = amounts[0] if low else amounts[-1]
        if len(items) < 2 or amounts.count(best) > 1 or any(i.quantity > 1 for i in items):
            return None
        item = next(i for i in items if i.amount == best)
        trace = traces.extreme(self.rng, self.bare, self.quotes(), high=not low, word="lowest price" if low else "highest price")
        return self.interview.work("cheapest" if low else "dearest", item.name, trace, "find", trivial=True, easy=len(items) <= FEW)

    # Refused ---------------------------------------------------------------------------------------------------------

    def refusal(self) -> Turn | None:
        draw = self.rng.random()
        if draw < 0.2:
            return self.interview.foreign()
        if draw < 0.55:
            name = self.absent_item()
            if name is None:
                return None
            key = "price" if draw < 0.48 else "quantity"
            return self.interview.refuse(key, f"There is no {name} on it.", item=self.said(name))
        absent = [key for key in ABSENT if key not in self.receipt.facts and all(self.interview.lacks(word) for word in ABSENT[key])]
        if not absent:
            return None
        key = self.rng.choice([key for key in absent for _ in range(OFTEN.get(key, 1))])
        asked = ALSO[key] if key in ALSO and self.rng.random() < 0.3 else key
        return self.interview.refuse(asked, f"There is no {NAMES_OF.get(key, key)} on it.")


def receipt(content: Content) -> Draft:
    """A shop receipt, or a small invoice, and three to six turns about it; the full reading is one of them every second time."""
    rng = content.rng
    bill = rng.random() < 0.1
    canvas, height, x_height, slip = draw_invoice(content, rng.choice((420, 448, 476)), HIGHEST) if bill else draw_receipt(content)

    def ask(interview: Interview) -> list[Turn]:
        turns = ReceiptTurns(content, interview, slip).draw(rng.randint(3, 5))
        return [interview.read(interview.text), *turns] if rng.random() < 0.55 else turns

    return Draft(canvas, height, x_height, ask)
