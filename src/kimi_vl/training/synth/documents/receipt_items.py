"""The items of a receipt: one or two rows for each, or columns with or without heads.

Pieces marked as held out appear in split "test" only.
"""

from kimi_vl.training.synth.content import Choice
from kimi_vl.training.synth.documents.receipts import Item
from kimi_vl.training.synth.documents.rows import Row
from kimi_vl.training.synth.documents.scribes import Scribe
from kimi_vl.training.synth.scene import Overfull

COLUMN_HEADS: dict[str, Choice] = {
    "q": Choice(("Qty", "Quantity", "QTY", "Qty.", "No", "Count", "#"), ("How many",)),
    "n": Choice(("Item", "Description", "Article", "Product", "ITEM", "Details", "Desc."), ("Ware",)),
    "e": Choice(("Each", "Unit", "Price", "Unit price", "Price ea.", "Cost", "@"), ("Single",)),
    "t": Choice(("Total", "Amount", "Sum", "Price", "Amt", "Line", "TOTAL"), ("Makes",)),
}
COLUMN_ORDERS = Choice(("qnt", "nqt", "nt", "qnt"), ("ntq",))
WIDE_ORDERS = Choice(("qnet", "nqet", "neqt", "qnet"), ("eqnt",))
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


def write_items(scribe: Scribe) -> None:
    """One to ten items in one form, all of them in columns where the form is that. Raises Overfull."""
    content, rng, paper = scribe.content, scribe.rng, scribe.paper
    form = str(ITEM_FORM.pick(rng, scribe.split))
    count = rng.choices(range(1, 11), (4, 8, 14, 18, 16, 12, 8, 6, 4, 3))[0]
    names = draw_names(scribe, count)
    if form.startswith("columns"):
        order = str((COLUMN_ORDERS if form == "columns" else WIDE_ORDERS).pick(rng, scribe.split))
        paper.stretch, form = order.index("n"), f"columns {order}"
        if content.chance(0.75):
            paper.rows.append(Row(tuple(column_heads(scribe, order)), "cells", content.one(("plain", "plain", "bold"))))
            if content.chance(0.5):
                paper.rows.append(Row(kind="rule"))
    loose = content.chance(0.08)
    for name in names:
        many = content.chance(0.35)
        quantity = rng.choice((2, 2, 3, 4, 5, 6, 10)) if many else 1
        unit = content.cents()
        write_item(scribe, form, name, quantity, unit)
        if loose:
            paper.rows.append(Row(kind="gap"))
    if any(a.name == b.name for k, a in enumerate(paper.items) for b in paper.items[:k]):
        raise Overfull("two items share a name")


def column_heads(scribe: Scribe, order: str) -> list[str]:
    """A head for each column, no two alike. Raises Overfull."""
    heads: list[str] = []
    for role in order:
        for _ in range(9):
            head = scribe.label(COLUMN_HEADS[role])
            if head.casefold() not in [other.casefold() for other in heads]:
                break
        else:
            raise Overfull("two columns have one head")
        heads.append(head)
    return heads


def draw_names(scribe: Scribe, count: int) -> list[str]:
    """At most `count` articles, none of whose names contains another."""
    names: list[str] = []
    for _ in range(count * 3):
        name = scribe.names_cased(scribe.content.product())
        if len(names) < count and not any(name.casefold() in n.casefold() or n.casefold() in name.casefold() for n in names):
            names.append(name)
    return names


def write_item(scribe: Scribe, form: str, name: str, quantity: int, unit: int) -> None:
    """`quantity` pieces at `unit` cents in one of ITEM_FORM, or as "columns" with the order of the columns behind it."""
    content, paper, amount = scribe.content, scribe.paper, quantity * unit
    q, each, whole = str(quantity), paper.price(unit), paper.price(amount)
    if form.startswith("columns"):
        order = form.split(" ")[1]
        row = Row(tuple({"q": q, "n": name, "e": each, "t": whole}[role] for role in order), "cells")
        paper.sell(Item(name, quantity, unit, amount, whole, each if "e" in order else "", q if "q" in order else "", row.text), row)
    elif form in ("qty", "qty x", "qty in front", "name qty", "name each"):
        text = {
            "qty": f"{q} {name}",
            "qty x": f"{q} x {name}",
            "qty in front": f"{q}x {name}",
            "name qty": f"{name} x {q}",
            "name each": f"{name} {q} x {each}",
        }[form]
        row = Row((text, whole), "pair")
        paper.sell(Item(name, quantity, unit, amount, whole, each if form == "name each" else "", q, row.text), row)
    elif form in SINGLE or quantity == 1 or form == "plain":
        _write_single(scribe, form, name, unit)
    elif form in ("at", "paren"):
        row = Row((f"{name} {q} @ {each}" if form == "at" else f"{name} ({q})", whole), "pair")
        paper.sell(Item(name, quantity, unit, amount, whole, each if form == "at" else "", q, row.text), row)
    else:
        row = Row((name, whole), "pair")
        said = f"{q} x {each}"
        if form == "at below":
            said = content.one((f"{q} @ {each}", f"{q} pcs @ {each}", f"{q} at {each} each", f"{q} * {each}", f"@ {each} x {q}"))
        elif form == "each below":
            said = content.one((f"Qty {q} x {each}", f"{q} x {each} each", f"{q} x {each} ea", f"{q} x {each} ="))
        detail = Row((said,), "left")
        rows = [detail, row] if form == "unit above" else [row, detail]
        evidence = row.text if said == f"{q} x {each}" else "\n".join([r.text for r in rows])
        paper.sell(Item(name, quantity, unit, amount, whole, each, q, evidence), *rows)


def _write_single(scribe: Scribe, form: str, name: str, unit: int) -> None:
    """One piece, with its tax letter, its number, its weight or a mark beside it."""
    content, rng, paper = scribe.content, scribe.rng, scribe.paper
    price = paper.price(unit)
    text, shown, below = name, price, ""
    if form == "bullet":
        text = f"- {name}"
    elif form == "letter":
        shown = f"{price} {content.one('ABCTN')}"
    elif form == "sku":
        text = f"{content.number(rng.choice((4, 5, 6)))} {name}"
    elif form == "sku below":
        below = content.one(("{}", "SKU {}", "Art. {}", "Item {}")).format(content.number(rng.randint(5, 12)))
    elif form == "numbered":
        text = f"{len(paper.items) + 1}{content.one(('.', ')', '.'))} {name}"
    elif form == "starred":
        text = f"{content.one('*+>#')} {name}"
    elif form == "weighed" and content.chance(0.6):
        grams, per = rng.randint(80, 2500), content.cents()
        unit = max(5, (grams * per + 500) // 1000)
        shown = price = paper.price(unit)
        below = (
            content.one(("{} kg x {}/kg", "{} kg @ {}", "  {} kg * {} /kg", "{} kg at {} per kg"))
            .strip()
            .format(f"{grams / 1000:.3f}".replace(".", paper.money.decimal), paper.price(per))
        )
    rows = [Row((text, shown), "pair")]
    if form == "wrapped" and " " in name:
        first, last = name.rsplit(" ", 1)
        rows = [Row((first,), "left"), Row((last, price), "pair")]
    if below:
        rows.append(Row((below,), "left"))
    evidence = "\n".join([row.text for row in rows if row.text != below])
    paper.sell(Item(name, 1, unit, unit, price, "", "", evidence), *rows)
