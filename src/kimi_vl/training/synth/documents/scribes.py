"""What all clerks share: one manner of writing for the whole of a receipt, and the receipt as far as it is written."""

from collections.abc import Callable

from kimi_vl.training.synth.content import Choice, Content, Money
from kimi_vl.training.synth.documents.receipts import Receipt
from kimi_vl.training.synth.documents.rows import Row

HEADER_ALIGN = Choice(("center", "center", "left"), ("right",))


class Scribe:
    """How labels, names and amounts are written on one receipt, `paper`, drawn once for all of its parts."""

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
        """One of the pieces in the scribe's letters, with `rate` where it names a share in percent."""
        return self.cased(str(choice.pick(self.rng, self.split)).replace("{rate}", str(rate)))

    def extra(self, choice: Choice) -> str:
        """One of the pieces in the scribe's letters, slots filled: n up to 999, k to 12, six digits l, four f, c the items so far."""
        digits, rng = self.content.number, self.rng
        slots = {
            "n": str(rng.randint(1, 999)),
            "k": str(rng.randint(1, 12)),
            "l": digits(6),
            "f": digits(4),
            "c": str(len(self.paper.items)),
        }
        return self.cased(str(choice.pick(rng, self.split)).format(**slots))

    def amount(self, cents: int) -> str:
        """An amount in cents as the lower part prints it."""
        return self.paper.money.full(cents) if self.sign_totals else self.paper.money.bare(cents)

    def divide(self) -> None:
        """A rule or a gap, now and then two, and seldom some empty rows after them."""
        self.paper.rows += [Row(kind=self.content.one(("rule", "rule", "gap")))] * self.rng.choice((1, 1, 1, 1, 1, 2))
        if self.content.chance(0.05):
            self.paper.rows += [Row(kind="gap")] * self.rng.randint(1, 4)
