"""What a sampled reply is worth: whether its answer is right, and how long it was beside the other replies to the same question.

Rewards are computed, never learned, so they cannot be talked into anything. The formulas are those of Kimi k1.5 (arXiv 2501.12599, §2.3).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from kimi_vl.processor.thinking import THINK_CLOSE, THINK_OPEN
from kimi_vl.processor.tokenizer import Tokenizer

_NUMBER = re.compile(r"\d[\d.,'’]*\d|\d")
_GROUPED = re.compile(r"\d{1,3}(?:([.,'’])\d{3})(?:\1\d{3})*")
_QUANTITY = re.compile(r"([^\d\s.,+−-]*) ?([-−+]?) ?([^\d\s.,+−-]*) ?(\d[\d.,'’]*\d|\d) ?([^\d.,+−-]*)")
_TERM = r"-?\d[\d.,'’]*"
_EQUATION = re.compile(rf"(?<![-−+×x*/%] )(?<![\d.,'’])({_TERM}(?: [-−+×x*] {_TERM})+) = (-?\d[\d.,'’]*\d|-?\d)")


def number(text: str) -> Decimal:
    """The value of printed digits with separators: 1,204.50 and 1.204,50 and 1204.50 are one number.

    Separators that stand before groups of three digits, and nothing else, are thousands separators, so 1.204 is a thousand; with a leading
    zero, as in 0.125, it is a decimal point.
    """
    if _GROUPED.fullmatch(text) and text[0] != "0":
        return Decimal(re.sub(r"\D", "", text))
    parts = re.split(r"[.,'’]", text)
    return Decimal("".join(parts[:-1]) + "." + parts[-1]) if len(parts) > 1 else Decimal(text)


def canonical(text: str) -> str:
    """What is compared as text: case, runs of spaces, quotes around it, a full stop at the end and the printing of numbers do not count."""
    text = " ".join(text.split()).lstrip("\"'`“”‘’ ").rstrip("\"'`“”‘’. ").casefold()
    return _NUMBER.sub(lambda match: str(number(match[0]).normalize()), text)


def same_answer(truth: str, answer: str) -> bool:
    """Whether an answer is right. Several lines, or JSON, are compared as items in any order: right when item-F1 is 1.

    A single number may lack the unit or the currency of the truth, but not have another one: "$12.10", "12,10" and "12.10 $" are equal.
    """
    if truth.lstrip()[:1] in ("[", "{"):
        return _entries(truth) is not None and _entries(truth) == _entries(answer)
    if "\n" in truth:
        return Counter(map(canonical, truth.split("\n"))) == Counter(map(canonical, answer.strip().split("\n")))
    if canonical(truth) == canonical(answer):
        return True
    wanted, given = quantity(truth), quantity(answer)
    if wanted is None or given is None or wanted[0] != given[0]:
        return False
    return wanted[1] == given[1] or not wanted[1] or not given[1]


def quantity(text: str) -> tuple[Decimal, str] | None:
    """A number with at most one unit before or behind it, as (value, unit); None for anything else."""
    match = _QUANTITY.fullmatch(" ".join(text.split()).rstrip(".").casefold())
    if match is None:
        return None
    before, sign, between, digits, behind = match.groups()
    units = [unit.strip() for unit in (before, between, behind) if unit.strip()]
    if len(units) > 1:
        return None
    value = number(digits)
    return (-value if sign in ("-", "−") else value), (units[0] if units else "")


def _entries(text: str) -> Counter | None:
    """The leaves of a JSON text with their keys, in any order of lists; None if it is no JSON."""
    try:
        value = json.loads(text)
        items = value if isinstance(value, list) else [value]
        return Counter(json.dumps(_canonical_leaves(item), sort_keys=True) for item in items)
    except (ValueError, RecursionError):
        return None


def _canonical_leaves(value: object) -> object:
    if isinstance(value, dict):
        return {key: _canonical_leaves(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_canonical_leaves(child) for child in value]
    return canonical(value) if isinstance(value, str) else canonical(json.dumps(value))


def steps_hold(thinking: str) -> bool:
    """Whether every calculation that is written out in the thinking is right in the end; true where there is none.

    One that is made again counts as it was made last: a mistake that was noticed is none.
    """
    results = {left: _signed(result) for left, result in _EQUATION.findall(thinking)}
    return all(_worked_out(left) == result for left, result in results.items())


def _worked_out(terms: str) -> Decimal:
    """Products before sums and differences."""
    first, *rest = terms.split(" ")
    total, term = Decimal(0), _signed(first)
    for sign, text in zip(rest[::2], rest[1::2], strict=True):
        value = _signed(text)
        if sign in "×x*":
            term *= value
        else:
            total, term = total + term, value if sign == "+" else -value
    return total + term


def _signed(text: str) -> Decimal:
    return -number(text[1:].rstrip(".,'’")) if text.startswith("-") else number(text.rstrip(".,'’"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one reply. Tokens are counted up to and with the closing mark, and behind it, the end token included."""

    right: bool
    well_formed: bool
    steps_hold: bool
    thinking_tokens: int
    answer_tokens: int


class Judge:
    """Reads replies with one tokenizer.

    A reply is well formed when it ends with an end token, has no other control token and thinks at most once: an opening mark at its very
    start and one closing mark behind it, or neither. With `needs_thinking` the second form is not: an answer without evidence is a guess.
    """

    def __init__(self, tokenizer: Tokenizer, *, needs_thinking: bool) -> None:
        self._tokenizer = tokenizer
        self._needs_thinking = needs_thinking
        self._control_ids = frozenset(tokenizer.special_ids.values())
        self._bytes_W = np.array([len(tokenizer.decode_bytes([token])) for token in range(tokenizer.vocab_size)])

    def __call__(self, truth: str, token_ids: Sequence[int]) -> Verdict:
        """Judge a reply given with its end token; one that was cut off has none and is wrong."""
        ended = bool(token_ids) and token_ids[-1] in self._tokenizer.end_ids
        said = list(token_ids[:-1] if ended else token_ids)
        text = self._tokenizer.decode(said)
        opening, close, answer = text.count(THINK_OPEN), text.count(THINK_CLOSE), text
        thinking, thinking_tokens = "", 0
        if close:
            thinking, _, answer = text.partition(THINK_CLOSE)
            length = len((thinking + THINK_CLOSE).encode())
            thinking_tokens = int(np.searchsorted(np.cumsum(self._bytes_W[said]), length)) + 1
        elif opening:
            thinking_tokens, answer = len(said), ""
        once = opening == close == 1 and text.lstrip().startswith(THINK_OPEN)
        never = opening == close == 0 and not self._needs_thinking
        well_formed = ended and (once or never) and self._control_ids.isdisjoint(said)
        right = well_formed and same_answer(truth, answer)
        return Verdict(right, well_formed, steps_hold(thinking), min(thinking_tokens, len(said)), len(token_ids) - thinking_tokens)


def length_rewards(lengths: Sequence[int], right: Sequence[bool]) -> list[float]:
    """k1.5's length reward of the k replies to one question: 0.5 for the shortest down to -0.5 for the longest.

    A wrong reply gains nothing by being short, it only loses by being long. All zero where all are of one length.
    """
    shortest, longest = min(lengths), max(lengths)
    if shortest == longest:
        return [0.0] * len(lengths)
    scores = [0.5 - (length - shortest) / (longest - shortest) for length in lengths]
    return [score if is_right else min(0.0, score) for score, is_right in zip(scores, right, strict=True)]


def rewards(verdicts: Sequence[Verdict], lengths: Sequence[int], length_weight: float) -> np.ndarray:
    """The rewards of the k replies to one question, float64 [k]: 1 for a right one plus the weighted length reward."""
    right = [verdict.right for verdict in verdicts]
    return np.array(right, dtype=np.float64) + length_weight * np.array(length_rewards(lengths, right))
