"""Arithmetic that is typed, not seen: sums, differences, prices times counts, change and percentages, each with its steps."""

from collections.abc import Sequence

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.questions import Maker
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.texts.inquiries import Inquiry
from kimi_vl.training.synth.traces import Quote, Scratchpad, Working, add_up, give_change, multiply, percentage

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
RATES = (5, 10, 10, 10, 15, 20, 20, 25, 30, 50, 7, 19)
TRIVIAL = 6  # digits worked on; longer calculations are not asked for without their steps
NOTES = (500, 1000, 2000, 5000, 10000, 20000)


def spoken(number: int) -> str:
    """0 to 9,999 in words: "two thousand three hundred forty-five"."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    many, rest = divmod(number, unit)
    return f"{spoken(many)} {name}" + (f" {spoken(rest)}" if rest else "")


def listed(words: Sequence[str]) -> str:
    """ "a, b and c" """
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


class Calculations:
    """Draws turns of pure arithmetic. Amounts are integers in units of the last digit, written as one notation says."""

    def __init__(self, content: Content, interview: Inquiry) -> None:
        self.content, self.rng, self.interview = content, content.rng, interview

    def makers(self) -> list[tuple[Maker, int]]:
        return [
            *((self.sum_of, 9), (self.add, 6), (self.spoken_sum, 3), (self.minus, 7), (self.times, 6), (self.change_due, 5)),
            *((self.percent, 3), (self.percent_changed, 4), (self.larger, 3)),
        ]

    def notation(self) -> Notation:
        return Notation(self.rng.choice((0, 0, 2, 2, 2)), prefix=self.rng.choice(("", "", "$")))

    def money(self) -> Notation:
        return Notation(2, prefix=self.rng.choice(("", "", "$")))

    def values(self, count: int, decimals: int) -> list[int]:
        # Up to seven digits, as sums of tables and invoices have: 10,755.60 + 5,377.80 was 15,133.40 to a nano that knew five.
        scale = self.rng.choice((20, 100, 1000, 100_000) if decimals == 0 else (1000, 3000, 10_000, 50_000, 250_000, 1_500_000))
        return [self.rng.randint(1, scale) for _ in range(count)]

    def work(self, key: str, answer: str, working: Working, /, **slots: str) -> Turn:
        return self.interview.work(key, answer, working, "sum", trivial=working.steps <= TRIVIAL, easy=False, **slots)

    def _added(self, values: Sequence[int], notation: Notation) -> Working:
        return add_up(self.rng, notation.bare, [Quote("", v, notation.bare(v), notation.full(v)) for v in values], whole=True)

    def sum_of(self) -> Turn:
        """Two to six numbers in a row of words."""
        notation = self.notation()
        values = self.values(self.rng.choice((2, 3, 3, 4, 4, 5, 6)), notation.decimals)
        numbers = listed([notation.full(v) for v in values])
        return self.work("sum_of", notation.full(sum(values)), self._added(values, notation), numbers=numbers)

    def add(self) -> Turn:
        """Two to four numbers with signs between them."""
        notation = self.notation()._replace(prefix="")
        values = self.values(self.rng.choice((2, 2, 3, 4)), notation.decimals)
        said = " + ".join([notation.bare(v) for v in values])
        return self.work("add", notation.bare(sum(values)), self._added(values, notation), sum=said)

    def spoken_sum(self) -> Turn:
        """Numbers as words; the answer is in digits."""
        plus = self.rng.random() < 0.6
        high = self.rng.choice((12, 20, 100, 1000, 5000))
        a, b = self.rng.randint(1, high), self.rng.randint(1, high)
        if not plus:
            a, b = max(a, b), min(a, b)
        pad = Scratchpad(self.rng, str)
        pad.say("In digits.", "I write the numbers as digits.", "First I put it in figures.")
        answer = pad.plus(a, b) if plus else pad.minus(a, b)
        return self.work("add_spoken", str(answer), pad.finish(), sum=f"{spoken(a)} {'plus' if plus else 'minus'} {spoken(b)}")

    def minus(self) -> Turn:
        notation = self.notation()
        b, a = sorted(self.values(2, notation.decimals))
        pad = Scratchpad(self.rng, notation.bare)
        pad.say("I need the difference.", "I take one from the other.", "I subtract the smaller from the larger.")
        left = pad.minus(a, b)
        if pad.verbose:
            pad.plus(b, left, "Check: ")
        return self.work("minus", notation.full(left), pad.finish(), a=notation.full(a), b=notation.full(b))

    def times(self) -> Turn:
        notation, count, price = self.money(), self.rng.choice((2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20)), self.content.cents()
        working = multiply(self.rng, notation.bare, Quote("Price", price, notation.full(price)), count)
        return self.work("times", notation.full(count * price), working, count=str(count), price=notation.full(price))

    def change_due(self) -> Turn:
        notation, total = self.money(), self.content.cents()
        note = self.rng.choice([n for n in NOTES if n > total][:3] or [100000])
        working = give_change(self.rng, notation.bare, Quote("Total", total, notation.full(total)), note)
        paid = self.rng.choice((notation.full(note), f"{notation.prefix}{note // 100}"))
        return self.work("change_due", notation.full(note - total), working, total=notation.full(total), note=paid)

    def _share(self, notation: Notation) -> tuple[int, int, int, Working]:
        """Rate, amount, the share and how it was found; mostly amounts that need no rounding."""
        rate = self.rng.choice(RATES)
        amount = self.content.cents()
        if self.rng.random() < 0.7:
            amount = max(100, amount // 100 * 100)
        working = percentage(self.rng, notation.bare, Quote("Amount", amount, notation.full(amount)), rate)
        return rate, amount, (amount * rate + 50) // 100, working

    def percent(self) -> Turn:
        notation = self.money()
        rate, amount, share, working = self._share(notation)
        return self.work("percent", notation.full(share), working, rate=str(rate), amount=notation.full(amount))

    def percent_changed(self) -> Turn:
        """With tax, or with a discount."""
        notation, more = self.money(), self.rng.random() < 0.6
        rate, amount, share, working = self._share(notation)
        result, bare = amount + share if more else amount - share, notation.bare
        trace = f"{working.text}\n{bare(amount)} {'+' if more else '-'} {bare(share)} = {bare(result)}"
        steps = Working(trace, working.steps + len(str(result)))
        return self.work(
            "percent_more" if more else "percent_less", notation.full(result), steps, rate=str(rate), amount=notation.full(amount)
        )

    def larger(self) -> Turn | None:
        notation = self.notation()
        a, b = self.values(2, notation.decimals)
        if self.rng.random() < 0.4 and notation.decimals and a < 10000:
            b = a % 100 * 100 + a // 100  # the same digits, those before and behind the point exchanged: 3.05 and 5.03
        if a == b:
            return None
        pad = Scratchpad(self.rng, notation.bare)
        pad.compare(a, b)
        slots = {"a": notation.full(a), "b": notation.full(b)}
        return self.interview.glance("larger", notation.full(max(a, b)), pad.finish(), "which", **slots)
