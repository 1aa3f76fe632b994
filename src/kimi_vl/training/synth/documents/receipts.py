"""What a receipt says: its facts, its items and its rows, and the money and the fonts it is printed with."""

from dataclasses import dataclass, field
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Font
from kimi_vl.training.synth.content import Content, Money, sized
from kimi_vl.training.synth.documents.rows import Row


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

    def sell(self, item: Item, *rows: Row) -> None:
        """Print `rows` and remember that they are `item`."""
        self.rows += rows
        self.items.append(item)

    def price(self, cents: int) -> str:
        """An amount as item prices are printed."""
        return self.money.full(cents) if self.prices_signed else self.money.bare(cents)


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
