"""What can be asked about a receipt: fields, prices, counts, sums with steps, and what is not on it."""

import random

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.invoices import draw_invoice
from kimi_vl.training.synth.lines import ORDINALS
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.receipts import HIGHEST, Item, Receipt, draw_receipt
from kimi_vl.training.synth.scene import Turn

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
NAMES_OF = {"phone": "phone number", "number": "receipt number"}


class ReceiptTurns:
    """Draws turns about one receipt; each maker returns None when the receipt does not allow its question."""

    def __init__(self, content: Content, interview: Interview, receipt: Receipt) -> None:
        self.content, self.rng = content, content.rng
        self.interview, self.receipt = interview, receipt

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the receipt is poor."""
        makers = (
            *((self.field, 34), (self.price, 14), (self.refusal, 24), (self.sum_two, 7), (self.sum_all, 5), (self.change_from, 3)),
            *((self.total_right, 4), (self.quantity, 7), (self.unit, 5), (self.article, 4), (self.count, 4), (self.extreme, 7)),
            *((self.difference, 2), (self.nth_item, 4), (self.listing, 4)),
        )
        return self.interview.draw(count, makers)

    # Looked up -------------------------------------------------------------------------------------------------------

    def field(self) -> Turn | None:
        key = self.rng.choice([key for key in FIELDS if key in self.receipt.facts])
        fact = self.receipt.facts[key]
        return self.interview.lookup(key, fact.answer, fact.row)

    def item(self) -> Item:
        return self.rng.choice(self.receipt.items)

    def said(self, name: str) -> str:
        """An article's name as somebody types it."""
        return self.rng.choice((name, name, name, name.lower(), name.title(), f"the {name.lower()}"))

    def price(self) -> Turn | None:
        item = self.item()
        if item.unit_text and item.quantity_text not in ("", "1"):
            return None  # a row with a price each and an amount has two prices
        return self.interview.lookup("price", item.amount_text, item.row, "price", item=self.said(item.name))

    def quantity(self) -> Turn | None:
        item = self.item()
        if not item.quantity_text:
            return None
        row = f"{item.quantity_text} x {item.unit_text}" if item.quantity_text not in item.row.split(" ") else item.row
        if row not in self.interview.text:
            return None
        return self.interview.lookup("quantity", item.quantity_text, row, "count", item=self.said(item.name))

    def unit(self) -> Turn | None:
        item = self.item()
        if not item.unit_text or item.quantity == 1:
            return None
        row = item.row if item.unit_text in item.row else f"{item.quantity_text} x {item.unit_text}"
        return self.interview.lookup("unit", item.unit_text, row, "price", item=self.said(item.name))

    def article(self) -> Turn | None:
        item = self.item()
        if sum(item.amount_text in (i.amount_text, i.unit_text) for i in self.receipt.items) != 1:
            return None
        return self.interview.lookup("article", item.name, item.row, "find", price=item.amount_text)

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

    def pair(self) -> tuple[Item, Item] | None:
        if len(self.receipt.items) < 2:
            return None
        a, b = self.rng.sample(self.receipt.items, 2)
        return a, b

    def sum_two(self) -> Turn | None:
        pair = self.pair()
        if pair is None:
            return None
        trace = f"{self.evidence(list(pair))}\n{running_sum(self.rng, self.receipt, [i.amount for i in pair])}"
        answer = self.receipt.price(pair[0].amount + pair[1].amount)
        a, b = self.said(pair[0].name), self.said(pair[1].name)
        return self.interview.work("sum_two", answer, trace, "sum", trivial=True, a=a, b=b)

    def sum_all(self) -> Turn | None:
        items = self.receipt.items
        if not 2 <= len(items) <= 8:
            return None
        trace = f"{self.evidence(items)}\n{running_sum(self.rng, self.receipt, [i.amount for i in items])}"
        return self.interview.work("sum_all", self.receipt.price(self.receipt.subtotal), trace, "sum", trivial=len(items) == 2)

    def difference(self) -> Turn | None:
        pair = self.pair()
        if pair is None or pair[0].amount == pair[1].amount:
            return None
        a, b = sorted(pair, key=lambda i: -i.amount)
        bare = self.receipt.money.bare
        trace = f"{self.evidence([a, b])}\n{bare(a.amount)} - {bare(b.amount)} = {bare(a.amount - b.amount)}"
        answer = self.receipt.price(a.amount - b.amount)
        return self.interview.work("difference", answer, trace, "sum", trivial=True, a=self.said(a.name), b=self.said(b.name))

    def change_from(self) -> Turn | None:
        total, bare = self.receipt.printed_total, self.receipt.money.bare
        notes = [n for n in (1000, 2000, 5000, 10000, 20000) if n > total]
        if not notes or self.interview.lacks(self.receipt.facts["total"].answer):
            return None
        note = self.rng.choice(notes[:2])
        trace = f"{self.receipt.facts['total'].row}\n{bare(note)} - {bare(total)} = {bare(note - total)}"
        if self.rng.random() < 0.4:
            trace += f"\nCheck: {bare(total)} + {bare(note - total)} = {bare(note)}"
        said = self.rng.choice((bare(note), self.receipt.price(note), str(note // 100)))
        return self.interview.work("change_from", self.receipt.price(note - total), trace, "sum", trivial=True, note=said)

    def total_right(self) -> Turn | None:
        receipt = self.receipt
        if len(receipt.items) > 7:
            return None
        bare = receipt.money.bare
        steps = [self.evidence(receipt.items)]
        if len(receipt.items) > 1:
            steps.append(running_sum(self.rng, receipt, [i.amount for i in receipt.items], check=False))
        running = receipt.subtotal
        for sign, cents in (("-", receipt.discount), ("+", receipt.tax)):
            if cents:
                after = running + (cents if sign == "+" else -cents)
                steps.append(f"{bare(running)} {sign} {bare(cents)} = {bare(after)}")
                running = after
        steps.append(receipt.facts["total"].row)
        right = running == receipt.printed_total
        answer = "Yes." if right else f"No, it should be {receipt.price(running)}."
        return self.interview.work("total_right", answer, "\n".join(steps), "sum")

    def count(self) -> Turn | None:
        names = "\n".join(f"{k}. {item.name}" for k, item in enumerate(self.receipt.items, 1))
        return self.interview.work("count_items", str(len(self.receipt.items)), names, "count", trivial=True)

    def extreme(self) -> Turn | None:
        items, low = self.receipt.items, self.rng.random() < 0.5
        amounts = sorted(i.amount for i in items)
        best = amounts[0] if low else amounts[-1]
        if len(items) < 2 or amounts.count(best) > 1 or any(i.quantity > 1 for i in items):
            return None
        item = next(i for i in items if i.amount == best)
        trace = f"{self.evidence(items)}\nThe {'lowest' if low else 'highest'} price is {item.amount_text}."
        return self.interview.work("cheapest" if low else "dearest", item.name, trace, "find", trivial=True)

    # Refused ---------------------------------------------------------------------------------------------------------

    def refusal(self) -> Turn | None:
        draw = self.rng.random()
        if draw < 0.2:
            return self.interview.foreign()
        if draw < 0.55:
            name = self.content.product()
            if not all(self.interview.lacks(word) for word in name.split(" ")):
                return None
            key = "price" if draw < 0.48 else "quantity"
            return self.interview.refuse(key, f"There is no {name} on it.", item=self.said(name))
        absent = [key for key in ABSENT if key not in self.receipt.facts and all(self.interview.lacks(word) for word in ABSENT[key])]
        if not absent:
            return None
        key = self.rng.choice(absent)
        return self.interview.refuse(key, f"There is no {NAMES_OF.get(key, key)} on it.")


def running_sum(rng: random.Random, receipt: Receipt, cents: list[int], *, check: bool = True) -> str:
    """One addition a line; sometimes once more in the opposite order."""
    steps = _additions(receipt, cents)
    if check and rng.random() < 0.4:
        steps += ["Check:", *_additions(receipt, cents[::-1])]
    return "\n".join(steps)


def _additions(receipt: Receipt, cents: list[int]) -> list[str]:
    bare, steps, total = receipt.money.bare, [], cents[0]
    for amount in cents[1:]:
        steps.append(f"{bare(total)} + {bare(amount)} = {bare(total + amount)}")
        total += amount
    return steps


def receipt(content: Content) -> Draft:
    """A shop receipt, or a small invoice, and three to six turns about it; the full reading is one of them every second time."""
    rng = content.rng
    bill = rng.random() < 0.1
    canvas, height, x_height, slip = draw_invoice(content, rng.choice((420, 448, 476)), HIGHEST) if bill else draw_receipt(content)

    def ask(interview: Interview) -> list[Turn]:
        turns = ReceiptTurns(content, interview, slip).draw(rng.randint(3, 5))
        return [interview.read(interview.text), *turns] if rng.random() < 0.55 else turns

    return Draft(canvas, height, x_height, ask)
