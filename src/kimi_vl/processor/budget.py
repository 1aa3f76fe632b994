"""How many tokens of a prompt its clips and documents may take, and how they share them.

The rules, in order:

1. A quarter of the context stays free for the answer.
2. Pictures are shown as large as the official processor shows them, and take what they take.
3. Clips and documents together take at most a quarter of the context, or what the caller allows (`media_tokens`, less what the pictures
   take), and never more than the context has left. A quarter of nano's is 4,096 tokens, about what its longest documents in training
   took (3,900); of the 16B model's, 32,768.
4. Each of them gets what it wants, if it wants no more than an equal share; what it leaves is shared among the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kimi_vl.errors import InputError
from kimi_vl.media.selection import Frugality

LONG_CONTEXT = 32_768  # tokens from which on a checkpoint is taken for one of the large ones
ANSWER_SHARE = MEDIA_SHARE = 4  # of the context: a quarter each


@dataclass(frozen=True, kw_only=True, slots=True)
class Legibility:
    """Dots an inch of a document's pages: `most` where there is room, `least` before pages are left out instead of made smaller."""

    most: float
    least: float


# nano, of the eleven questions about letter.pdf and timetable.pdf (A5, 12 points): 8 right at 80 and 100 dots an inch, 9 at 120.
SMALL = Legibility(most=120, least=80)
LARGE = Legibility(most=150, least=100)


def frugality_for(context: int) -> Frugality:
    """What clips may cost, by the tokens of a checkpoint's context: nano's measure, or that of a large model."""
    return Frugality() if context < LONG_CONTEXT else Frugality(most=256, least_side=336, most_side=896)


def legibility_for(context: int) -> Legibility:
    """The same for pages."""
    return SMALL if context < LONG_CONTEXT else LARGE


def room(context: int, text: int, pictures: int, media_tokens: int | None = None) -> int:
    """Tokens for clips and documents (rules 1 to 3) beside `text` and `pictures`; 0 or less where there is no room for them."""
    left = context - context // ANSWER_SHARE - text - pictures
    return min(left, context // MEDIA_SHARE if media_tokens is None else media_tokens - pictures)


def fair_shares(budget: int, wants: Sequence[int]) -> list[int]:
    """What each of those who want so many tokens gets (rule 4); never more in all than `budget`.

    Raises: InputError for a want below 1.
    """
    if any(want < 1 for want in wants):
        raise InputError(f"wants are {list(wants)}; each must be at least one token")
    shares = [0] * len(wants)
    left = max(0, budget)
    by_want = sorted(range(len(wants)), key=lambda k: (wants[k], k))
    for done, k in enumerate(by_want):
        shares[k] = min(wants[k], left // (len(wants) - done))
        left -= shares[k]
    return shares
