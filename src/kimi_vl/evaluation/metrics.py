"""Scores of reading and answering, each with its 95 % interval.

CER and WER are micro-averaged: edits of all documents over characters (words) of all references, so that a long receipt counts
for more than a short line. Their intervals resample whole documents, because errors inside one document come together. Shares
of right answers have Wilson intervals, which stay honest at 0 % and 100 %.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from kimi_vl.errors import InputError

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 relative to the picture

Z95 = 1.959964  # the normal distribution's 97.5 % point
RESAMPLES = 2000

AMOUNT = r"(?:\d{1,3}(?:[.,']\d{3})+|\d+)[.,]\d\d"  # two decimals; thousands in groups or not
_PRINTED_AMOUNT = re.compile(rf"(?<![\d.,])-?{AMOUNT}(?!\d|[.,]\d)")
_AMOUNT = re.compile(rf"(-?)(?:USD|EUR|GBP|[$€£])? ?(-?)({AMOUNT}) ?(?:USD|EUR|GBP|[$€£])?", re.I)
_DECIMAL = r"(?:0?\.\d{1,9}|\d{1,4}(?:\.\d{1,9})?)"
_NUMBER = re.compile(rf"(?<![\d.\w])-?{_DECIMAL}(?![\d\w]|\.\d)")
_MONTHS = {name: k for k, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with its 95 % interval; `n` counts documents (rates of edits) or answers (shares)."""

    value: float
    low: float
    high: float
    n: int


def levenshtein(a: Sequence, b: Sequence) -> int:
    """Fewest insertions, deletions and substitutions that turn `a` into `b`; strings, or lists of words.

    Myers' bit-parallel algorithm in Hyyrö's form (2003): one column of the table is a pair of integers whose bits say where the
    distance rises or falls by one, so a column costs a dozen operations on Python integers instead of len(a) cells.
    """
    if not a:
        return len(b)
    at: dict = {}
    for i, item in enumerate(a):
        at[item] = at.get(item, 0) | 1 << i
    full, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    rises, falls, distance = full, 0, len(a)
    for item in b:
        equal = at.get(item, 0)
        across = ((equal & rises) + rises ^ rises) | equal
        up, down = falls | ~(across | rises), rises & across
        distance += bool(up & last) - bool(down & last)
        up, down = up << 1 | 1, down << 1
        rises, falls = (down | ~(equal | falls | up)) & full, up & (equal | falls) & full
    return distance


def collapse(text: str) -> str:
    """NFC, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def character_error_rate(pairs: Iterable[tuple[str, str]], spaces: str = "collapse") -> Estimate:
    """CER over (reference, reading) pairs; it passes 1 when a reading is mostly invented.

    `spaces` is "collapse" (the usual score), "raw" (line breaks and runs of spaces count) or "ignore" (characters only).
    Raises: InputError for another `spaces`, or when the references hold no character.
    """
    prepare = {"collapse": collapse, "raw": lambda t: unicodedata.normalize("NFC", t), "ignore": lambda t: collapse(t).replace(" ", "")}
    if spaces not in prepare:
        raise InputError(f"spaces is {spaces!r}; there are {', '.join(prepare)}")
    return _edit_rate([(prepare[spaces](reference), prepare[spaces](reading)) for reference, reading in pairs])


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> Estimate:
    """WER over (reference, reading) pairs; words are what white space separates. Raises: InputError without a reference word."""
    return _edit_rate([(collapse(reference).split(), collapse(reading).split()) for reference, reading in pairs])


def words_found(pairs: Iterable[tuple[str, str]]) -> Estimate:
    """Share of the references' words that a reading holds, each as often as printed; additions and order cost nothing, so it
    tells misread text from invented text where an error rate mixes them. Raises: InputError without a reference word."""
    words = [(collapse(reference).split(), collapse(reading).split()) for reference, reading in pairs]
    return _ratio([(Counter(there) & Counter(read)).total() for there, read in words], [len(there) for there, _ in words])


def _edit_rate(pairs: Sequence[tuple[Sequence, Sequence]]) -> Estimate:
    return _ratio([levenshtein(reference, reading) for reference, reading in pairs], [len(reference) for reference, _ in pairs])


def _ratio(above: Sequence[int], below: Sequence[int]) -> Estimate:
    if not sum(below):
        raise InputError("a rate needs at least one reference that is not empty")
    return Estimate(sum(above) / sum(below), *bootstrap_ratio(np.array(above, float), np.array(below, float)), len(below))


def bootstrap_ratio(above: np.ndarray, below: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of sum(above) / sum(below) under resampling of the n documents. above, below: [n]."""
    draws = np.random.default_rng(seed).multinomial(len(above), np.full(len(above), 1 / len(above)), size=RESAMPLES)
    sums = draws @ below
    low, high = np.percentile((draws @ above)[sums > 0] / sums[sums > 0], [2.5, 97.5])
    return float(low), float(high)


def share(right: int, n: int) -> Estimate:
    """right / n with its Wilson interval. Raises: InputError unless 0 <= right <= n and n >= 1."""
    if not 0 <= right <= n or n < 1:
        raise InputError(f"{right} right of {n} is not a share; it takes at least one answer and no more right ones than answers")
    p, spread = right / n, Z95**2 / n
    centre, half = p + spread / 2, Z95 * sqrt(p * (1 - p) / n + spread / (4 * n))
    return Estimate(p, max(0.0, (centre - half) / (1 + spread)), min(1.0, (centre + half) / (1 + spread)), n)


# Answers -----------------------------------------------------------------------------------------------------------------


def same_answer(truth: str, answer: str) -> bool:
    """Whether two answers say the same after `normalise`."""
    return normalise(truth) == normalise(answer)


def normalise(answer: str) -> str:
    """What is compared when an answer is judged.

    An amount with two decimals loses its currency sign and thousands separators: "$1,204.50", "1.204,50 EUR" and "1204.50" are
    equal. A date becomes year-month-day where that is certain: "18 March 2024", "Mar 18, 2024" and "2024-03-18" are equal, and
    so is "18/03/24"; a date such as 05/06/2024 keeps its order and loses only separators and leading zeros. Anything else is
    compared as text: case, runs of spaces, quotes around it and a full stop at the end do not count.
    """
    text = collapse(answer).strip("\"'`“”‘’ ").rstrip(".").casefold()
    return _amount(text) or _date(text) or text


def _amount(text: str) -> str | None:
    match = _AMOUNT.fullmatch(text)
    if not match:
        return None
    digits = re.sub(r"\D", "", match[3])
    return f"{match[1] or match[2]}{int(digits[:-2])}.{digits[-2:]}"


def _date(text: str) -> str | None:
    """ISO date, or three numbers in the printed order where day and month cannot be told apart; None if it is no date."""
    parts = re.findall(r"[a-z]+|\d+", text)
    if len(parts) != 3 or re.sub(r"[a-z]+|\d+", "", text).strip(" ,./-") or any(len(p) > 4 for p in parts if p.isdigit()):
        return None
    names = [p for p in parts if p.isalpha()]
    numbers = [int(p) for p in parts if p.isdigit()]
    if len(names) == 1:
        month = _MONTHS.get(names[0][:3], 0)
        day, year = numbers
    elif names:
        return None
    elif numbers[0] > 31:
        year, month, day = numbers
    elif re.fullmatch(r"\d{1,2}([./-])\d{1,2}\1(\d{2}|\d{4})", text):
        first, second, year = numbers
        if max(first, second) > 12 or first == second:
            month, day = sorted((first, second))
        else:
            return f"{first}-{second}-{_full(year)}"
    else:
        return None
    return f"{_full(year)}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _full(year: int) -> int:
    return year + 2000 if year < 100 else year


def printed_amounts(text: str) -> list[str]:
    """The amounts with two decimals in a text, in order, as "1204.50"."""
    return [amount for printed in _PRINTED_AMOUNT.findall(text) if (amount := _amount(printed))]


def money_f1(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Precision, recall and F1 of the amounts in (reference, reading) pairs, counted over all documents; order plays no role."""
    found = wanted = right = 0
    for reference, reading in pairs:
        there, seen = Counter(printed_amounts(reference)), Counter(printed_amounts(reading))
        wanted, found, right = wanted + there.total(), found + seen.total(), right + (there & seen).total()
    precision, recall = right / found if found else 0.0, right / wanted if wanted else 0.0
    return {"precision": precision, "recall": recall, "f1": 2 * right / (found + wanted) if found + wanted else 0.0}


def coordinates(text: str, count: int) -> tuple[float, ...] | None:
    """The numbers of a point or a box; None unless the text holds exactly `count`."""
    found = _NUMBER.findall(text[:200])
    return tuple(map(float, found)) if len(found) == count else None


def intersection_over_union(a: Box, b: Box) -> float:
    """Of two boxes x0, y0, x1, y1; 0 for one turned inside out."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) if box[2] > box[0] and box[3] > box[1] else 0.0 for box in (a, b)]
    if min(wide, high) <= 0 or min(areas) <= 0:
        return 0.0
    return wide * high / (sum(areas) - wide * high)


def points_into(answer: str, box: Box) -> bool:
    """Whether an answer is one point and lies in the box; a refusal or a box is no point."""
    point = coordinates(answer, 2)
    return point is not None and box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def overlap(answer: str, box: Box) -> float:
    """How much the one box of an answer and the true one overlap (IoU); 0 for anything else."""
    found = coordinates(answer, 4)
    return 0.0 if found is None else intersection_over_union((found[0], found[1], found[2], found[3]), box)
