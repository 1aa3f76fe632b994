"""Drafts of what an answer says next: what followed its last words when they stood before, in the prompt or in the answer.

A document that is copied, a text that is corrected, a form that repeats itself: what costs the model a step for each token can then be
verified several tokens at once. Nothing is guessed by a network, and what is wrong costs rows of a step, never a token.
"""

from __future__ import annotations

from collections.abc import Sequence

# Tokens that must be alike. Of two, what followed them last is right too seldom.
WORDS = 3


class Lookup:
    """Of one answer: where each run of WORDS tokens stood last."""

    def __init__(self) -> None:
        self._behind: dict[tuple[int, ...], int] = {}  # the place behind a run of tokens
        self._num_read = WORDS

    def proposal(self, token_ids: Sequence[int], most: int) -> Sequence[int]:
        """At most `most` tokens that may follow these, none if their last words are new. Each call has the tokens of the one before, and
        more behind them."""
        # What nothing follows yet is looked for, and not to be found.
        for stop in range(self._num_read, len(token_ids)):
            self._behind[tuple(token_ids[stop - WORDS : stop])] = stop
        self._num_read = max(self._num_read, len(token_ids))
        place = self._behind.get(tuple(token_ids[-WORDS:]))
        return () if place is None else token_ids[place : place + most]


def num_right(draft: Sequence[int], drawn: Sequence[int]) -> int:
    """How many of the tokens drawn count: the first, and each behind a token that the draft holds as well. drawn is one longer."""
    right = 1
    while right <= len(draft) and draft[right - 1] == drawn[right - 1]:
        right += 1
    return right
