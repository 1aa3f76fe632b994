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

HYPHENS = (0x02, 0xAD, 0xFFFE)  # PDFium's marks, and Unicode's own, for a hyphen that the line's end has put into a word
BREAKS = (0x0A, 0x2028, 0x2029)  # of lines
PARTING = (*HYPHENS, *BREAKS)  # of words, beside spaces and control characters
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
    """N characters to W words.

    codes: code points, or halves of a surrogate pair one after another; areas: float64 [N, 4], left, top, right, bottom as shares.
    White space parts words and a line break parts lines; a hyphen at which a line ends stays with the word's first half. What lies outside
    the page is left out, what crosses its edge is cut there.
    """
    code_N = np.array([*codes, 0x20])
    place_N4 = np.clip(np.concatenate([areas, np.zeros((1, 4))]), 0, 1).round(DIGITS)
    ends_W = np.flatnonzero((code_N <= 0x20) | ((code_N >= 0x7F) & (code_N <= 0xA0)) | np.isin(code_N, PARTING))
    starts_W = np.concatenate([[0], ends_W[:-1] + 1])
    is_hyphen_W = np.isin(code_N[ends_W], HYPHENS)
    breaks_W = is_hyphen_W | np.isin(code_N[ends_W], BREAKS)
    line_W: np.ndarray = np.cumsum(breaks_W) - breaks_W
    letters_W = ends_W > starts_W
    if not letters_W.any():
        return []
    starts_W, ends_W = starts_W[letters_W], ends_W[letters_W]
    is_hyphen_W, line_W = is_hyphen_W[letters_W], line_W[letters_W]
    area_W4 = _ink(place_N4, starts_W, ends_W + is_hyphen_W)
    inked_W = area_W4[:, 2] > area_W4[:, 0]
    lines = np.unique(line_W[inked_W], return_inverse=True)[1].tolist()
    spans = zip(starts_W[inked_W].tolist(), ends_W[inked_W].tolist(), is_hyphen_W[inked_W].tolist(), strict=True)
    texts = [_text(codes[start:end]) + "-" * is_hyphen for start, end, is_hyphen in spans]
    return [Word(text, tuple(area), line) for text, area, line in zip(texts, area_W4[inked_W].tolist(), lines, strict=True)]


def _ink(place_N4: np.ndarray, starts_W: np.ndarray, stops_W: np.ndarray) -> np.ndarray:
    """The areas [W, 4] of the ink between starts and stops; one that ends before it begins where there is none."""
    has_ink_N1 = ((place_N4[:, 2] > place_N4[:, 0]) & (place_N4[:, 3] > place_N4[:, 1]))[:, None]
    borders = np.stack([starts_W, stops_W], 1).ravel()
    first_W2 = np.minimum.reduceat(np.where(has_ink_N1, place_N4[:, :2], np.inf), borders)[::2]
    last_W2 = np.maximum.reduceat(np.where(has_ink_N1, place_N4[:, 2:], -np.inf), borders)[::2]
    return np.concatenate([first_W2, last_W2], 1)


def _text(codes: Sequence[int]) -> str:
    text = "".join(map(chr, codes))
    if text.isascii() or not any(0xD800 <= code <= 0xDFFF for code in codes):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
