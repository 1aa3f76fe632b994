"""Thinking that is worked out in integers, and the check of such thinking, whoever wrote it.

A trace has one thought a line. Lines of these forms can be checked, and `mistakes` checks them; any other line is prose or evidence:

    2.49 + 3.10 = 5.59        one operation or more, also -, x and /; a factor may be a percentage: 12.50 x 7% = 0.875
    Check: 3.10 + 2.49 = 5.59
    0.875 rounds to 0.88      halves go up
    Bread 3.10 > 2.49, yes    also < and =, in a row if need be, after a name, before a remark
    2.49 + 3.10 = 5.69        a slip, forgiven when the next line is the same with the right result:
    Wait, 2.49 + 3.10 = 5.59

Numbers are written as on the document: point or comma before the decimals, the other one or nothing between thousands.
"""

import itertools
import random
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

VERBOSE = 0.5  # share of the traces with plan, quoted rows and recheck; the others are as short as the work allows
SLIPS = 0.05  # share of the traces with a mistake that is noticed at once
LONGEST_LINE = 200  # characters; whatever a model says in longer ones is no calculation
RECHECKED = 3  # a longer sum is not added twice: it would cost more tokens than the rest of the trace

_N = r"-?\d(?:[\d.,]*\d)?"
_WORKED = re.compile(rf"(?:Check: |Wait, )?({_N}%?(?: [-+x/] {_N}%?)+) = ({_N})")
_ROUNDED = re.compile(rf"({_N}) rounds to ({_N})")
_COMPARED = re.compile(rf"(?:.*? )?({_N}(?: [<>=] {_N})+)(?:, .*)?")


class Quote(NamedTuple):
    """A number on the document: what it belongs to, its value in units of the last digit, as printed, and the row it stands in."""

    name: str
    value: int
    text: str
    row: str = ""


class Working(NamedTuple):
    """A finished trace. `steps` counts the digits that were worked on: additions of one column each, so to speak."""

    text: str
    steps: int = 0


# Checking ------------------------------------------------------------------------------------------------------------


def verify(trace: str) -> bool:
    """Whether every line of `trace` that can be checked holds, or is a slip that the next line puts right."""
    return not mistakes(trace)


def mistakes(trace: str) -> list[str]:
    """The lines that do not hold, in order; slips that the next line puts right are left out."""
    lines = trace.split("\n")
    wrong = [k for k, line in enumerate(lines) if holds(line) is False]
    return [lines[k] for k in wrong if not _corrected(lines[k], lines[k + 1 : k + 2])]


def holds(line: str) -> bool | None:
    """Whether a line of a trace is true; None where there is nothing to check.

    What separates decimals is not said, so a line is true when it is for either reading: 1,250 + 1 = 1,251 and 1,25 + 1 = 2,25.
    """
    if len(line) > LONGEST_LINE:
        return None
    if found := _WORKED.fullmatch(line):
        return any(_works(found[1], found[2], point) for point in ".,")
    if found := _ROUNDED.fullmatch(line):
        return any(_rounds(found[1], found[2], point) for point in ".,")
    if found := _COMPARED.fullmatch(line):
        return any(_compares(found[1], point) for point in ".,")
    return None


def _corrected(line: str, following: list[str]) -> bool:
    left = line.removeprefix("Check: ").rpartition(" = ")[0]
    return bool(left and following) and following[0].startswith(f"Wait, {left} = ") and holds(following[0]) is True


def _number(text: str, point: str) -> Fraction | None:
    """None where the separators do not fit: groups have three digits."""
    group = "," if point == "." else "."
    if not re.fullmatch(rf"-?(?:\d{{1,3}}(?:\{group}\d{{3}})+|\d+)(?:\{point}\d+)?%?", text):
        return None
    value = Fraction(text.rstrip("%").replace(group, "").replace(point, "."))
    return value / 100 if text.endswith("%") else value


def _works(left: str, right: str, point: str) -> bool:
    """Products and quotients before sums and differences."""
    words = left.split(" ")
    numbers = [_number(text, point) for text in (*words[::2], right)]
    if any(number is None for number in numbers):
        return False
    first, *others, result = [number for number in numbers if number is not None]
    terms = [first]
    for sign, number in zip(words[1::2], others, strict=True):
        if sign == "/" and number == 0:
            return False
        if sign in "x/":
            terms[-1] = terms[-1] * number if sign == "x" else terms[-1] / number
        else:
            terms.append(number if sign == "+" else -number)
    return sum(terms) == result


def _rounds(exact: str, rounded: str, point: str) -> bool:
    a, b = _number(exact, point), _number(rounded, point)
    if a is None or b is None:
        return False
    unit = Fraction(1, 10 ** len(rounded.partition(point)[2]))
    return (a / unit + Fraction(1, 2)).__floor__() * unit == b


def _compares(chain: str, point: str) -> bool:
    words = chain.split(" ")
    numbers = [_number(text, point) for text in words[::2]]
    return all(
        a is not None and b is not None and {"<": a < b, ">": a > b, "=": a == b}[sign]
        for a, sign, b in zip(numbers, words[1::2], numbers[1:], strict=False)
    )


# Writing -------------------------------------------------------------------------------------------------------------


class Scratchpad:
    """One trace being written, concise or verbose; `bare` prints an integer as the document prints numbers, without its unit."""

    def __init__(self, rng: random.Random, bare: Callable[[int], str]) -> None:
        self.rng, self.bare = rng, bare
        self.verbose = rng.random() < VERBOSE
        self.saying = rng.choice(('"{}"', "{}", "{}", "I see {}"))
        self.lines: list[str] = []
        self.worked: list[int] = []  # lines that may slip
        self.steps = 0

    def say(self, *sayings: str) -> None:
        """One of several ways to put a thought, for those who think aloud."""
        if self.verbose:
            self.lines.append(self.rng.choice(sayings))

    def quote(self, quotes: Sequence[Quote]) -> None:
        """Evidence: names with numbers, or the printed rows."""
        for quote in quotes:
            short = f"{quote.name} {quote.text}"
            self.lines.append(self.saying.format(quote.row or short) if self.verbose else short)

    def survey(self, quotes: Sequence[Quote]) -> None:
        """Evidence where names do not matter: in short, or where there is much, all the numbers on one line."""
        if self.verbose and len(quotes) <= RECHECKED + 1:
            self.quote(quotes)
        else:
            self.lines.append(" ".join([self.bare(quote.value) for quote in quotes]))

    def work(self, left: str, value: int, digits: int = 0, prefix: str = "") -> None:
        """An operation with its result, in units of the last digit."""
        self.worked.append(len(self.lines))
        self.lines.append(f"{prefix}{left} = {self.bare(value)}")
        if not prefix:
            self.steps += max(digits, len(str(abs(value))))

    def plus(self, a: int, b: int, prefix: str = "") -> int:
        self.work(f"{self.bare(a)} + {self.bare(b)}", a + b, prefix=prefix)
        return a + b

    def minus(self, a: int, b: int) -> int:
        self.work(f"{self.bare(a)} - {self.bare(b)}", a - b, len(str(abs(a))))
        return a - b

    def run(self, values: Sequence[int]) -> int:
        """A running sum, one addition a line; on second thoughts in the opposite order."""
        total = values[0]
        for value in values[1:]:
            total = self.plus(total, value)
        if self.verbose and 2 <= len(values) <= RECHECKED:
            backwards = values[-1]
            for value in values[-2::-1]:
                backwards = self.plus(backwards, value, "Check: ")
        return total

    def times(self, count: int, value: int) -> int:
        """A product; by tens and ones, where the factor has both, and by pairs of digits, where the value has many: 6 x 46.81 at one
        stroke was 281.86 to a nano that had learned it so."""
        tens, ones = divmod(count, 10)
        if tens and ones:
            return self.plus(self.times(tens * 10, value), self.times(ones, value))
        low = value % 100 ** ((_figures(value) - 1) // 2)
        if ones > 2 and value > 999 and low:
            return self.plus(self.times(count, value - low), self.times(count, low))
        self.work(f"{count} x {self.bare(value)}", count * value)
        return count * value

    def over(self, value: int, count: int) -> int:
        """A quotient without rest, one digit a line: 14.97 - 3 x 4.00 = 2.97, then 2.97 - 3 x 0.90 = 0.27 and so on."""
        assert value % count == 0, f"{value} / {count} has a rest"
        rest = value
        for place in range(_figures(value // count) - 1, -1, -1):
            part = rest // count // 10**place * 10**place
            if 0 < part * count < rest:
                self.work(f"{self.bare(rest)} - {count} x {self.bare(part)}", rest - part * count)
            elif part:
                self.work(f"{count} x {self.bare(part)}", rest)
            rest -= part * count
        self.work(f"{self.bare(value)} / {count}", value // count)
        return value // count

    def sift(self, quotes: Sequence[Quote], limit: int, *, above: bool) -> list[Quote]:
        """Those beyond a limit, after comparing each; a nano that listed only what fits listed other things, too."""
        kept: list[Quote] = []
        for quote in quotes:
            fits = quote.value > limit if above else quote.value < limit
            if fits:
                kept.append(quote)
            self.compare(quote.value, limit, quote.name if self.verbose else "", f", {len(kept)}" if fits else ", no")
        return kept

    def compare(self, a: int, b: int, name: str = "", remark: str = "") -> None:
        sign = "<" if a < b else ">" if a > b else "="
        self.steps += 1
        self.lines.append(f"{name} {self.bare(a)} {sign} {self.bare(b)}{remark}".lstrip())

    def finish(self) -> Working:
        """The trace, one time in twenty with a slip."""
        if self.worked and self.rng.random() < SLIPS:
            k = self.rng.choice(self.worked)
            right = self.lines[k]
            left, _, result = right.rpartition(" = ")
            self.lines[k : k + 1] = [f"{left} = {_slipped(self.rng, result)}", f"Wait, {right.removeprefix('Check: ')}"]
        return Working("\n".join(self.lines), self.steps)


def _figures(value: int) -> int:
    return len(str(abs(value)))


def _slipped(rng: random.Random, number: str) -> str:
    """`number` with one digit that is one off."""
    k = rng.choice([k for k, letter in enumerate(number) if letter.isdigit()])
    digit = int(number[k])
    return f"{number[:k]}{digit + 1 if digit < 9 else 8}{number[k + 1 :]}"


Figures = Callable[[int], str]


def add_up(rng: random.Random, bare: Figures, quotes: Sequence[Quote], *, whole: bool = False) -> Working:
    """The sum of `quotes`; `whole` says that they are all there are, so that names do not matter."""
    pad = Scratchpad(rng, bare)
    n = len(quotes)
    pad.say(f"I add {n} numbers.", f"There are {n} numbers to add.", f"I look up {n} numbers and add them.", "I go through them and add.")
    (pad.survey if whole else pad.quote)(quotes)
    total = pad.run([quote.value for quote in quotes])
    pad.say(f"Together {bare(total)}.", f"The sum is {bare(total)}.", f"So it is {bare(total)}.")
    return pad.finish()


def add_beyond(rng: random.Random, bare: Figures, quotes: Sequence[Quote], limit: int, *, above: bool) -> Working:
    """The sum of those of `quotes` that are above, or below, a limit."""
    pad = Scratchpad(rng, bare)
    why = f"{'above' if above else 'below'} {bare(limit)}"
    pad.say(f"I want those {why}.", f"I pick the ones {why} and add them.", f"First I look which are {why}.")
    pad.run([quote.value for quote in pad.sift(quotes, limit, above=above)])
    return pad.finish()


def subtract(rng: random.Random, bare: Figures, a: Quote, b: Quote) -> Working:
    """a - b, both on the document."""
    pad = Scratchpad(rng, bare)
    pad.say(f"I subtract the smaller, {b.name}, from the larger, {a.name}.", "I need the difference.", "I take one from the other.")
    pad.quote((a, b))
    left = pad.minus(a.value, b.value)
    if pad.verbose:
        pad.plus(b.value, left, "Check: ")
    return pad.finish()


def leave_out(rng: random.Random, bare: Figures, quotes: Sequence[Quote], out: Quote) -> Working:
    """The sum of all `quotes` but one."""
    pad = Scratchpad(rng, bare)
    rest = [quote.value for quote in quotes if quote is not out]
    pad.say(f"All but {out.name}.", f"I leave out {out.name} and add the others.", f"I add everything without {out.name}.")
    for quote in quotes:  # one after another, the one left out among them: where it was passed over, four in ten times it was added as well
        if quote is out:
            pad.lines.append(f"{out.name}: left out")
        else:
            pad.quote((quote,))
    pad.run(rest)
    return pad.finish()


def give_change(rng: random.Random, bare: Figures, due: Quote, note: int) -> Working:
    """What comes back from `note`."""
    pad = Scratchpad(rng, bare)
    pad.say(
        f"I pay {bare(note)} and owe {bare(due.value)}.", f"From {bare(note)} I take what is due.", "Change is the note less the total."
    )
    pad.quote((due,))
    back = pad.minus(note, due.value)
    if pad.verbose:
        pad.plus(due.value, back, "Check: ")
    return pad.finish()


def multiply(rng: random.Random, bare: Figures, quote: Quote, count: int, *, pieces: int = 1) -> Working:
    """`count` times a price, which is first found by division where the quote is for several `pieces`."""
    pad = Scratchpad(rng, bare)
    each = quote.value // pieces
    pad.say(f"One costs {bare(each)}; I need {count}.", f"I multiply the price of one by {count}.", f"{count} of them at {bare(each)}.")
    pad.quote((quote,))
    if pieces > 1:
        pad.over(quote.value, pieces)
    total = pad.times(count, each)
    if pad.verbose and 2 <= count <= RECHECKED:
        reached = each
        for _ in range(count - 1):
            reached = pad.plus(reached, each, "Check: ")
        assert reached == total
    return pad.finish()


def divide(rng: random.Random, bare: Figures, quote: Quote, count: int) -> Working:
    """A price that is `count` times another."""
    pad = Scratchpad(rng, bare)
    pad.say(f"{count} of them cost {bare(quote.value)}.", f"I divide by {count}.", f"The amount is for {count}.")
    pad.quote((quote,))
    pad.over(quote.value, count)
    return pad.finish()


def average(rng: random.Random, bare: Figures, quotes: Sequence[Quote]) -> Working:
    """The mean of all; their sum is a multiple of their number."""
    pad = Scratchpad(rng, bare)
    n = len(quotes)
    pad.say(f"I add the {n} numbers and divide by {n}.", f"The average of {n} is their sum divided by {n}.")
    pad.survey(quotes)
    total = pad.run([quote.value for quote in quotes])
    pad.over(total, n)
    return pad.finish()


def ratio(rng: random.Random, bare: Figures, a: Quote, b: Quote) -> Working:
    """How many times as large as b is a; a whole number."""
    pad = Scratchpad(rng, bare)
    pad.say(f"I divide {a.name} by {b.name}.", "I divide the larger by the smaller.", "How often does one go into the other?")
    pad.quote((a, b))
    pad.steps += len(str(a.value))
    pad.worked.append(len(pad.lines))
    pad.lines.append(f"{bare(a.value)} / {bare(b.value)} = {a.value // b.value}")
    if pad.verbose:
        pad.work(f"{a.value // b.value} x {bare(b.value)}", a.value, prefix="Check: ")
    return pad.finish()


def _share(pad: Scratchpad, value: int, rate: int) -> int:
    """`rate` percent of an amount in hundredths, rounded to hundredths; the rounding is said."""
    hundredfold = pad.times(rate, value) if rate > 1 else value
    pad.steps += len(str(hundredfold))
    rounded = (hundredfold + 50) // 100
    whole, rest = divmod(hundredfold, 100)
    exact = f"{pad.bare(whole)}{rest:02d}"
    pad.lines.append(f"{pad.bare(hundredfold)} / 100 = {exact if rest else pad.bare(whole)}")
    pad.worked.append(len(pad.lines) - 1)
    if rest:
        pad.lines.append(f"{exact} rounds to {pad.bare(rounded)}")
    return rounded


def percentage(rng: random.Random, bare: Figures, quote: Quote, rate: int) -> Working:
    """`rate` percent of an amount in hundredths."""
    pad = Scratchpad(rng, bare)
    pad.say(f"I need {rate}% of {bare(quote.value)}.", f"{rate}% is {rate} hundredths.", f"I multiply by {rate} and divide by 100.")
    pad.quote((quote,))
    _share(pad, quote.value, rate)
    return pad.finish()


def check_percentage(rng: random.Random, bare: Figures, base: Quote, rate: int, claimed: Quote) -> Working:
    """Whether `claimed` is `rate` percent of `base`."""
    pad = Scratchpad(rng, bare)
    pad.say(
        f"I work out {rate}% of {bare(base.value)} and compare.", f"What is {rate}% of it?", "I calculate it and compare with the print."
    )
    pad.quote((base, claimed))
    rounded = _share(pad, base.value, rate)
    pad.compare(rounded, claimed.value, remark=", it fits" if rounded == claimed.value else ", it differs")
    return pad.finish()


def check_total(
    rng: random.Random, bare: Figures, quotes: Sequence[Quote], changes: Sequence[tuple[str, Quote]], claimed: Quote
) -> Working:
    """Whether quotes and changes (a sign and an amount each) add up to what is `claimed`."""
    pad = Scratchpad(rng, bare)
    pad.say("I add the items and compare with the total.", "First the items, then the total.", "I add it all up again.")
    pad.survey(quotes)
    total = pad.run([quote.value for quote in quotes])
    for sign, change in changes:
        pad.quote((change,))
        total = pad.plus(total, change.value) if sign == "+" else pad.minus(total, change.value)
    pad.quote((claimed,))
    pad.compare(total, claimed.value, remark=", it is right" if total == claimed.value else ", it is wrong")
    pad.say(f"By my sum it is {bare(total)}.", f"It should be {bare(total)}.", f"I get {bare(total)}.")
    return pad.finish()


def check_limit(rng: random.Random, bare: Figures, quotes: Sequence[Quote], limit: Quote | int) -> Working:
    """Whether the sum of `quotes` is above a limit."""
    pad = Scratchpad(rng, bare)
    pad.say("I add and compare.", "First the sum, then the comparison.", "I work it out and compare.")
    pad.quote(quotes if isinstance(limit, int) else (*quotes, limit))
    total = pad.run([quote.value for quote in quotes])
    pad.compare(total, limit if isinstance(limit, int) else limit.value)
    return pad.finish()


def extreme(rng: random.Random, bare: Figures, quotes: Sequence[Quote], *, high: bool, word: str) -> Working:
    """The largest or the smallest, which is one alone; `word` is "highest", "cheapest" or the like."""
    pad = Scratchpad(rng, bare)
    pad.say(f"I look for the {word}.", f"I go through all {len(quotes)} and keep the {word}.", "I compare them one by one.")
    best = (max if high else min)(quotes, key=lambda quote: quote.value)
    if pad.verbose:
        kept = quotes[0]
        pad.lines.append(f"{kept.name} {kept.text}")
        for quote in quotes[1:]:
            pad.compare(quote.value, kept.value, quote.name if len(quotes) <= RECHECKED + 1 else "")
            kept = quote if (quote.value > kept.value) == high and quote.value != kept.value else kept
    else:
        pad.survey(quotes)
        pad.steps += len(quotes) - 1
    pad.lines.append(f"The {word} is {best.text}.")
    return pad.finish()


def runner_up(rng: random.Random, bare: Figures, quotes: Sequence[Quote], *, high: bool, word: str) -> Working:
    """The second largest or smallest; neither it nor the first has an equal."""
    pad = Scratchpad(rng, bare)
    first, second, *_ = ordered = sorted(quotes, key=lambda quote: -quote.value if high else quote.value)
    pad.say(f"I put them in order, the {word} first.", f"First the {word}, then the next.", "I sort them.")
    pad.lines.append(" ".join([bare(quote.value) for quote in quotes]))
    pad.steps += 2 * len(quotes)
    if pad.verbose and all(a.value != b.value for a, b in itertools.pairwise(ordered)):
        pad.lines.append((" > " if high else " < ").join([bare(quote.value) for quote in ordered]))
    pad.lines.append(f"The {word} is {first.text}, the next {second.text}.")
    return pad.finish()


def count_beyond(rng: random.Random, bare: Figures, quotes: Sequence[Quote], limit: int, *, above: bool) -> Working:
    """How many are above, or below, a limit."""
    pad = Scratchpad(rng, bare)
    side = "above" if above else "below"
    pad.say(f"I count those {side} {bare(limit)}.", f"Which are {side} {bare(limit)}?", f"I compare each with {bare(limit)}.")
    if not pad.sift(quotes, limit, above=above):
        pad.lines.append("There is none.")
    return pad.finish()


def count_both(
    rng: random.Random, names: Sequence[str], cells: tuple[Sequence[str], Sequence[str]], fits: tuple[Sequence[bool], Sequence[bool]]
) -> Working:
    """How many rows fulfil two conditions, of which `fits` says whether each row does."""
    pad = Scratchpad(rng, str)
    pad.say("I check both for each row.", "Both must be true.", "Row by row, first one, then the other.")
    found = 0
    for name, a, b, first, second in zip(names, *cells, *fits, strict=True):
        found += first and second
        if pad.verbose:
            verdict = f"yes, {found}" if first and second else "no"
            pad.lines.append(f"{name} {a} {'yes' if first else 'no'}; {b} {'yes' if second else 'no'}: {verdict}")
        elif first and second:
            pad.lines.append(f"{found}. {name} {a} {b}")
    pad.steps += 2 * len(names)
    if not found:
        pad.lines.append("There is none.")
    return pad.finish()


def enumerate_names(names: Sequence[str]) -> str:
    """A numbered list of first words: what is counted."""
    return "\n".join(f"{k}. {name.split(' ')[0]}" for k, name in enumerate(names, 1))
