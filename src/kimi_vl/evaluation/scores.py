"""From answers to numbers: pure functions of results, each giving named estimates, the headline first.

Every answer is hostile: it may be empty, a loop of a thousand lines, half a JSON document, or "NaN". None of that raises and none of
it counts as right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from math import ceil

import numpy as np

from kimi_vl.evaluation.metrics import (
    AMOUNT,
    Estimate,
    bootstrap_ratio,
    character_error_rate,
    collapse,
    levenshtein,
    normalise,
    overlap,
    points_into,
    same_answer,
    share,
    word_error_rate,
    words_found,
)
from kimi_vl.evaluation.reading import is_refusal, without_ornaments
from kimi_vl.evaluation.suite import Result
from kimi_vl.training.synth.traces import verify

Scores = dict[str, Estimate]

NAME_DISTANCE = 0.2  # of an article's name, edits over the longer one's length (TRAINING.md §4.6)
RELAXED = 0.05  # of a value read from a chart, as in ChartQA
SECONDS = 0.5
MOST_ITEMS = 100  # a receipt has ten; a loop is cut here
WORST_COUNT, WORST_SECONDS = 20, 60.0  # what an answer that is no number, or a wild one, adds to a mean error
LOWER_IS_BETTER = frozenset({"CER", "CER without spaces", "WER", "mean error", "mean error, s", "thinking tokens"})

_PRICED = re.compile(rf"(.+?)[\s:|,;-]*((?:USD|EUR|GBP|[$€£])? ?-?{AMOUNT}(?: ?(?:USD|EUR|GBP|[$€£]))?)", re.IGNORECASE)
_CLOCK = re.compile(r"\[?(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d{1,3})?)\]?")
_PLAIN_SECONDS = re.compile(r"(\d{1,5}(?:\.\d{1,3})?) ?(?:s|seconds?)?")
_ANY_NUMBER = re.compile(r"-?\d[\d.,' ]*\d|-?\d")


# One answer --------------------------------------------------------------------------------------------------------------


def is_right(result: Result) -> bool:
    """An unanswerable question wants a refusal, any other the same answer after `metrics.normalise`."""
    answer = result.item.answer
    return is_refusal(result.response.text) if answer is None else same_answer(answer, result.response.text)


def parse_items(text: str) -> list[tuple[str, str]]:
    """(name, price) pairs of a list of articles: JSON in any of the usual shapes, or one article and its price a line."""
    start = min((k for k in (text.find("["), text.find("{")) if k >= 0), default=-1)
    if start >= 0:
        try:
            found = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            return _entries(found)[:MOST_ITEMS]
    matches = [_PRICED.fullmatch(collapse(line)) for line in text.splitlines()[:MOST_ITEMS]]
    return [(match[1], match[2]) for match in matches if match]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no price")


def _entries(found: object) -> list[tuple[str, str]]:
    """The pairs in parsed JSON: [{"name": .., "price": ..}], [[name, price]], {"items": [...]} or {name: price}."""
    if isinstance(found, dict) and isinstance(found.get("items"), list):
        found = found["items"]
    if isinstance(found, dict) and not ("name" in found or "item" in found):
        found = [list(pair) for pair in found.items()]
    pairs = []
    for entry in found if isinstance(found, list) else [found]:
        if isinstance(entry, dict):
            name, price = (next((entry[k] for k in keys if k in entry), None) for keys in (("name", "item"), ("price", "amount", "total")))
        elif isinstance(entry, list) and len(entry) == 2:
            name, price = entry
        else:
            continue
        if isinstance(name, str) and isinstance(price, (str, int, float)) and not isinstance(price, bool):
            pairs.append((name, price if isinstance(price, str) else _cents(price)))
    return pairs


def _cents(price: float) -> str:
    return f"{price:.2f}" if abs(price) < 1e12 else "?"


def matched_items(truth: Sequence[tuple[str, str]], found: Sequence[tuple[str, str]]) -> int:
    """How many articles can be paired so that each price is equal and each name differs by at most NAME_DISTANCE.

    A largest matching by augmenting paths. The Hungarian method would also weigh the pairs, which changes no count.
    """
    fits = [[b for b, other in enumerate(found) if _same_item(item, other)] for item in truth]
    taken: dict[int, int] = {}

    def place(a: int, tried: set[int]) -> bool:
        for b in fits[a]:
            if b not in tried:
                tried.add(b)
                if b not in taken or place(taken[b], tried):
                    taken[b] = a
                    return True
        return False

    return sum(place(a, set()) for a in range(len(truth)))


def _same_item(a: tuple[str, str], b: tuple[str, str]) -> bool:
    if normalise(a[1]) != normalise(b[1]):
        return False
    first, second = collapse(a[0]).casefold(), collapse(b[0]).casefold()
    return levenshtein(first, second) <= NAME_DISTANCE * max(len(first), len(second))


def seconds_of(text: str) -> float | None:
    """A time such as "0:03.5", "[1:02:03]" or "3.5 s" in seconds; None for anything else."""
    text = text.strip().rstrip(".")
    if match := _CLOCK.fullmatch(text):
        return 3600 * int(match[1] or 0) + 60 * int(match[2]) + float(match[3])
    match = _PLAIN_SECONDS.fullmatch(text)
    return float(match[1]) if match else None


def within(truth: str, answer: str, tolerance: float = RELAXED) -> bool:
    """Whether both name one number each and these differ by at most `tolerance` of the true one; units and signs of money are ignored.

    "1.204" may be a thousand or one: both texts are then read the same way, once as 1,204.5 is written and once as 1.204,5 is.
    """
    if same_answer(truth, answer):
        return True
    found = [_ANY_NUMBER.findall(collapse(text)) for text in (truth, answer)]
    if [len(numbers) for numbers in found] != [1, 1]:
        return False
    for point, group in ((".", ","), (",", ".")):
        wanted, said = (_value(numbers[0], point, group) for numbers in found)
        if wanted is not None and said is not None and abs(said - wanted) <= tolerance * abs(wanted):
            return True
    return False


def _value(number: str, point: str, group: str) -> float | None:
    plain = re.sub(rf"(?<=\d)[{re.escape(group)}' ](?=\d{{3}}(?!\d))", "", number).replace(point, ".")
    return float(plain) if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", plain) else None


# All answers of a task -----------------------------------------------------------------------------------------------------


def score_readings(results: Sequence[Result]) -> Scores:
    raw = [(r.item.answer or "", r.response.text) for r in results]
    pairs = [(without_ornaments(truth), without_ornaments(text)) for truth, text in raw]
    return {
        "CER": character_error_rate(pairs),
        "CER without spaces": character_error_rate(pairs, "ignore"),
        "WER": word_error_rate(pairs),
        "words found": words_found(pairs),
    }


def score_exact(results: Sequence[Result]) -> Scores:
    return {"exact": _share(is_right(r) for r in results)}


def score_relaxed(results: Sequence[Result]) -> Scores:
    """Relaxed accuracy. Unlike ChartQA's own, the 5 % are for values only: 2021 is no right answer where the year 2020 is asked for."""
    loose = [r.item.tag in ("cell", "sum") and within(r.item.answer or "", r.response.text) for r in results]
    right = [is_right(r) for r in results]
    return {"relaxed": _share(a or b for a, b in zip(loose, right, strict=True)), "exact": _share(right)}


def score_items(results: Sequence[Result]) -> Scores:
    """F1 of articles with prices over all documents."""
    truths = [parse_items(r.item.answer or "") for r in results]
    said = [parse_items(r.response.text) for r in results]
    right = [matched_items(truth, found) for truth, found in zip(truths, said, strict=True)]
    return {
        "item F1": _ratio([2 * k for k in right], [len(t) + len(f) for t, f in zip(truths, said, strict=True)]),
        "all items right": _share(k == len(t) == len(f) for k, t, f in zip(right, truths, said, strict=True)),
    }


def score_arithmetic(results: Sequence[Result]) -> Scores:
    """Right answers, the price of them in tokens, and how many of the traces that were written hold in every step."""
    thought = [r for r in results if r.response.thinking]
    scores = {"accuracy": _share(is_right(r) for r in results)}
    scores["thinking tokens"] = _ratio([r.response.thinking_tokens for r in results], [1] * len(results))
    if thought:
        scores["traces that hold"] = _share(verify(r.response.thinking) for r in thought)
    return scores


def score_points(results: Sequence[Result]) -> Scores:
    """Share of points inside the box; a refusal or a box is no point."""
    return {"point in box": _share(r.item.box is not None and points_into(r.response.text, r.item.box) for r in results)}


def score_boxes(results: Sequence[Result]) -> Scores:
    overlaps = [0.0 if r.item.box is None else overlap(r.response.text, r.item.box) for r in results]
    return {"IoU at least 0.5": _share(o >= 0.5 for o in overlaps), "mean IoU": _ratio(overlaps, [1] * len(overlaps))}


def score_counts(results: Sequence[Result]) -> Scores:
    """Exact, and the mean error, where no number, or one far off, counts as WORST_COUNT."""
    errors = [_count_error(r.item.answer or "", r.response.text) for r in results]
    return {"exact": _share(is_right(r) for r in results), "mean error": _ratio(errors, [1] * len(errors))}


def _count_error(truth: str, answer: str) -> int:
    numbers = [normalise(text) for text in (truth, answer)]
    if not all(re.fullmatch(r"[0-9]{1,6}", number) for number in numbers):
        return WORST_COUNT
    return min(WORST_COUNT, abs(int(numbers[0]) - int(numbers[1])))


def score_times(results: Sequence[Result]) -> Scores:
    errors = [_time_error(r.item.answer or "", r.response.text) for r in results]
    close = [error <= SECONDS + 1e-6 for error in errors]  # a time is written in tenths, and 3.6 - 3.1 is more than 0.5 in binary
    return {"within 0.5 s": _share(close), "mean error, s": _ratio(errors, [1] * len(errors))}


def _time_error(truth: str, answer: str) -> float:
    at, said = seconds_of(truth), seconds_of(answer)
    return WORST_SECONDS if at is None or said is None else min(WORST_SECONDS, abs(at - said))


def score_needles(results: Sequence[Result]) -> Scores:
    """Exact, and by thirds of the document where it is known how deep the fact lies."""
    scores = score_exact(results)
    for third in range(3):
        part = [r for r in results if "depth" in r.item.facts and min(2, int(3 * r.item.facts["depth"])) == third]
        if part:
            scores[("first third", "middle third", "last third")[third]] = _share(is_right(r) for r in part)
    return scores


def score_refusals(results: Sequence[Result]) -> Scores:
    """F1 of refusing, with recall (unanswerable questions that were refused) and precision (refusals that were right)."""
    wanted = [r.item.answer is None for r in results]
    refused = [is_refusal(r.response.text) for r in results]
    both = [a and b for a, b in zip(wanted, refused, strict=True)]
    scores = {"F1": _ratio([2 * b for b in both], [a + b for a, b in zip(wanted, refused, strict=True)])}
    if any(wanted):
        scores["recall"] = share(sum(both), sum(wanted))
    if any(refused):
        scores["precision"] = share(sum(both), sum(refused))
    return scores


def _share(rights: Iterable[bool]) -> Estimate:
    answers = list(rights)
    return share(sum(answers), len(answers))


def _ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """sum(above) / sum(below) with its bootstrap interval over the documents; 0 where there is nothing to divide by."""
    if not sum(below):
        return Estimate(0.0, 0.0, 0.0, len(below))
    return Estimate(sum(above) / sum(below), *bootstrap_ratio(np.array(above, float), np.array(below, float)), len(below))


SCORES: dict[str, Callable[[Sequence[Result]], Scores]] = {
    "cer": score_readings,
    "exact": score_exact,
    "relaxed": score_relaxed,
    "items": score_items,
    "arithmetic": score_arithmetic,
    "point": score_points,
    "box": score_boxes,
    "count": score_counts,
    "when": score_times,
    "needle": score_needles,
    "refusal": score_refusals,
}


def prompt_tokens(sizes: Sequence[tuple[int, int]], text: str) -> int:
    """About what a prompt costs: a token per 28 x 28 pixels of each picture (height, width), and one per 3.8 characters of prose."""
    return sum(ceil(height / 28) * ceil(width / 28) for height, width in sizes) + ceil(len(text) / 3.8)
