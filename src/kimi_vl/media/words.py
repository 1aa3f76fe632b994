"""The words of a page and where they stand: what a text layer says, without the library that read it.

Places are shares of the page as it is shown, turned and cropped, from its left and top edge: 0 to 1, so that they hold for any rendering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from kimi_vl.errors import InputError

Area = tuple[float, float, float, float]  # left, top, right, bottom

HYPHENS = frozenset({0x02, 0xAD, 0xFFFE})  # PDFium's marks, and Unicode's own, for a hyphen that the line's end has put into a word
DIGITS = 5  # of a share: a hundredth of a pixel on a page 1,000 pixels wide


class Word(NamedTuple):
    """Characters without space between them, the area of their ink, and the number of their line, from 0."""

    text: str
    area: Area
    line: int


@dataclass(frozen=True, slots=True)
class PageText:
    """The text layer of one page: its number from 1, size in points as shown, and words in the order in which the file has them.

    That is the order of reading in nearly all files, because it is the order of writing. `is_cut`: there were more characters than are
    read of one page.
    """

    number: int
    width: float
    height: float
    words: tuple[Word, ...]
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The words, line by line."""
        lines: list[list[str]] = []
        last = -1
        for word in self.words:
            if word.line != last:
                lines.append([])
                last = word.line
            lines[-1].append(word.text)
        return "\n".join(" ".join(line) for line in lines)

    def to_facts(self) -> dict[str, Any]:
        """As JSON values, which `from_facts` reads back."""
        words = [[word.text, *word.area, word.line] for word in self.words]
        return {"page": self.number, "width": self.width, "height": self.height, "words": words, "cut": self.is_cut}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Raises: InputError for anything but what `to_facts` gives, such as the facts of a page that could not be read."""
        try:
            words = tuple(Word(str(text), (left, top, right, bottom), line) for text, left, top, right, bottom, line in facts["words"])
            return cls(facts["page"], facts["width"], facts["height"], words, facts["cut"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"these are no facts of a page with its words: {str(facts)[:120]}") from None


def words_of(codes: Sequence[int], areas: np.ndarray) -> list[Word]:
    """Characters to words.

    codes: code points, or halves of a surrogate pair one after another; areas: float64 [n, 4], left, top, right, bottom as shares.
    White space parts words and a line break parts lines; a hyphen at which a line ends stays with the word's first half. What lies outside
    the page is left out, what crosses its edge is cut there.
    """
    places: list[Area] = np.clip(areas, 0, 1).round(DIGITS).tolist()  # lists: numpy takes 60 ms for the 800 words of a page, this 10
    words: list[Word] = []
    start = line = 0
    for k, code in enumerate([*codes, 0x20]):
        if not (code <= 0x20 or code in HYPHENS or 0x7F <= code <= 0xA0 or code in (0x2028, 0x2029)):
            continue
        is_hyphen = code in HYPHENS
        if word := _word(codes[start:k], places[start : k + is_hyphen], line, is_hyphen):
            words.append(word)
        line += code in (0x0A, 0x2028, 0x2029) or is_hyphen
        start = k + 1
    numbers = {number: k for k, number in enumerate(dict.fromkeys(word.line for word in words))}
    return [word._replace(line=numbers[word.line]) for word in words]


def _word(codes: Sequence[int], places: Sequence[Area], line: int, is_hyphenated: bool) -> Word | None:
    inked = [place for place in places if place[2] > place[0] and place[3] > place[1]]
    if not codes or not inked:
        return None
    text = "".join(map(chr, codes))
    if any(0xD800 <= code <= 0xDFFF for code in codes):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    lefts, tops, rights, bottoms = zip(*inked, strict=True)
    return Word(text + "-" * is_hyphenated, (min(lefts), min(tops), max(rights), max(bottoms)), line)
