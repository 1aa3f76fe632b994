"""Which pages of a long document are looked at, and how large: decided from its text layer before anything is drawn.

Pure functions. A question about a thousand pages gets the few that its words point to, at a size that can be read; what was looked at, why,
and what was left out is part of the result, because an answer about a document nobody read in full must say so.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kimi_vl.errors import InputError, MediaError

K1, B = 1.2, 0.75  # BM25's usual constants (Robertson and Zaragoza 2009, §3.5)
WORTH = 0.25  # a page is looked at for its words if it scores at least this share of the best
NEAR_THE_BEST = 3  # pages whose neighbours are looked at as well: tables and sentences run over page ends
READABLE = 20  # characters from which on a page counts as having a text layer; a scanner's stamp is shorter
CONTENTS_WITHIN = 0.1  # of the document, its first pages, where a table of contents is looked for
MAX_DPI = 200.0  # of a page for the model: 12-point print is then 33 pixels high
MAX_WRITTEN = 10_000  # characters of a list of pages
LOW = 4  # a scan's pages get a quarter of the tokens each, so that four times as many are seen

_RANGE = re.compile(r"(\d{1,9})(?:\s*(-|\u2013)\s*(\d{1,9})?)?")
_TERM = re.compile(r"\w+(?:[.,]\d+)*")
_NAMED_PAGE = re.compile(r"\b(?:pages?|pp?\.)\s*(\d{1,6})(?:\s*(?:-|\u2013|to|and)\s*(\d{1,6}))?", re.IGNORECASE)
_ENTRY = re.compile(r"\D[ .\u2026]*\d{1,4}\s*$", re.MULTILINE)

# Words of questions that say nothing about where the answer is; frequent ones of a document weigh little by themselves.
STOP_WORDS = frozenset(
    "a an and any are as at be by can could did do does every for from give had has have how i in into is it its list many me much my name "
    "no not of on or out page pages please say show tell than that the their them there these they this to was we were what when where "
    "which who whom whose why will with would you your document pdf file".split()
)


# Pages by number -----------------------------------------------------------------------------------------------------------


def parse_pages(text: str, count: int) -> list[int]:
    """ "3-7,9,12-" of a document of `count` pages: numbers from 1, ascending, each once. "12-" goes to the last page.

    Raises: InputError naming the piece that is wrong.
    """
    if len(text) > MAX_WRITTEN:
        raise InputError(f"pages has {len(text):,} characters; at most {MAX_WRITTEN:,} are read")
    pages: set[int] = set()
    for piece in text.split(","):
        match = _RANGE.fullmatch(piece.strip())
        if not match:
            raise InputError(
                f"pages is {text[:60]!r}: {piece.strip()[:20]!r} is no page and no range; write 3, 3-7 or 12-, with commas between"
            )
        first = int(match[1])
        last = int(match[3]) if match[3] else count if match[2] else first
        if first < 1:
            raise InputError(f"pages is {text[:60]!r}: pages are counted from 1")
        if first > count or (match[3] and last > count):
            raise InputError(f"pages is {text[:60]!r}: there is no page {max(first, last)}; the document has {count:,}")
        if last < first:
            raise InputError(f"pages is {text[:60]!r}: {piece.strip()!r} runs backwards; write {last}-{first}")
        pages.update(range(first, last + 1))
    return sorted(pages)


def said_pages(pages: Iterable[int]) -> str:
    """ "3", "3 and 5", "3 to 7 and 12": ascending, runs of three and more together."""
    runs: list[list[int]] = []
    for page in sorted(set(pages)):
        if runs and page == runs[-1][1] + 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    said = [piece for a, b in runs for piece in ([f"{a:,} to {b:,}"] if b - a > 1 else [f"{n:,}" for n in range(a, b + 1)])]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else "none"


# Pages by question -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The pages to look at, ascending; for each why; `tokens` for each of them; how many there are, and what the choice rests on."""

    pages: tuple[int, ...]
    reasons: dict[int, str]
    tokens: int
    total: int
    basis: str

    def __str__(self) -> str:
        """As it is said beside an answer: "looked at pages 3, 17 and 18 of 1,000: ..."."""
        word = "page" if len(self.pages) == 1 else "pages"
        if len(self.pages) == self.total:
            return f"looked at {'the only page' if self.total == 1 else f'all {self.total:,} pages'}"
        return f"looked at {word} {said_pages(self.pages)} of {self.total:,}: {self.basis}"

    def explained(self) -> str:
        """The same with a line for each page, for `--dry-run`."""
        lines = [f"page {page:,}: {self.reasons[page]}" for page in self.pages]
        return "\n".join([str(self), *lines, f"left out: {self.total - len(self.pages):,} of {self.total:,} pages"])


def select_pages(question: str, texts: Sequence[str], *, budget: int, page_tokens: int) -> Selection:
    """Choose pages for a question: `texts[k]` is the text layer of page k + 1, or what a model said of it; `page_tokens` what one costs.

    All pages where they fit into `budget` tokens. Else, until it is used up: pages the question names; the best match; the first page and
    the table of contents, which say what the document is; the other matches, the three best with their neighbours. Equal scores go
    by page number. Without a text layer, or where no word of the question stands in it, pages are spread evenly over the document,
    four times as many at a quarter of the size.
    Raises: InputError for a budget below one page.
    """
    total = len(texts)
    if page_tokens < 1 or budget < page_tokens:
        raise InputError(f"the budget is {budget:,} tokens and one page takes {page_tokens:,}; allow more, or make pages smaller")
    if total * page_tokens <= budget:
        return Selection(
            pages=tuple(range(1, total + 1)),
            reasons=dict.fromkeys(range(1, total + 1), "the whole document fits"),
            tokens=page_tokens,
            total=total,
            basis="the whole document fits",
        )
    readable = sum(len("".join(text.split())) >= READABLE for text in texts)
    named = _named_pages(question, total)
    scores = relevance(question, texts)
    if not named and not scores:
        why = "none of the question's words stands in the text" if readable else "the document is scanned and has no text to search"
        return _evenly(total, budget, page_tokens, why)
    ranked = _ranked(texts, named, scores)
    kept = dict(list(ranked.items())[: budget // page_tokens])
    basis = "those that the question's words point to" if scores else "those that the question names"
    if readable < total:
        basis += f"; {total - readable:,} pages without a text layer could not be searched"
    return Selection(
        pages=tuple(sorted(kept)), reasons={page: kept[page] for page in sorted(kept)}, tokens=page_tokens, total=total, basis=basis
    )


def relevance(question: str, texts: Sequence[str]) -> dict[int, float]:
    """BM25 scores of the pages (from 1) on which a word of the question stands; the question's stop words do not count."""
    wanted = [term for term in dict.fromkeys(terms(question)) if term not in STOP_WORDS]
    counts = [Counter(terms(text)) for text in texts]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    scores: dict[int, float] = {}
    for term in wanted:
        holding = [k for k, count in enumerate(counts) if term in count]
        weight = math.log(1 + (len(texts) - len(holding) + 0.5) / (len(holding) + 0.5))
        for k in holding:
            often = counts[k][term]
            scores[k + 1] = scores.get(k + 1, 0.0) + weight * often * (K1 + 1) / (often + K1 * (1 - B + B * lengths[k] / mean))
    return scores


def terms(text: str) -> list[str]:
    """What is compared: words and numbers in one form of letters; a plural's s and the commas of a number do not count."""
    found = _TERM.findall(unicodedata.normalize("NFKC", text).casefold())
    return [
        term.replace(",", "") if term[0].isdigit() else term[:-1] if len(term) > 3 and term.endswith("s") and term[-2] != "s" else term
        for term in found
    ]


def _named_pages(question: str, total: int) -> list[int]:
    pages: dict[int, None] = {}
    for match in _NAMED_PAGE.finditer(question):
        first, last = int(match[1]), int(match[2] or match[1])
        pages.update(dict.fromkeys(page for page in range(first, min(last, first + 1000) + 1) if 1 <= page <= total))
    return list(pages)


def _ranked(texts: Sequence[str], named: Sequence[int], scores: dict[int, float]) -> dict[int, str]:
    """Pages with their reasons, the most important first."""
    best_first = sorted(scores, key=lambda page: (-scores[page], page))
    hits = [page for page in best_first if scores[page] >= WORTH * scores[best_first[0]]]
    ranked = dict.fromkeys(named, "the question names it")
    for page in hits[:1]:
        ranked.setdefault(page, f"best match, score {scores[page]:.1f}")
    ranked.setdefault(1, "first page")
    if contents := _contents_page(texts):
        ranked.setdefault(contents, "table of contents")
    for rank, page in enumerate(hits):
        ranked.setdefault(page, f"match, score {scores[page]:.1f}")
        for near in (page + 1, page - 1) if rank < NEAR_THE_BEST else ():
            if 1 <= near <= len(texts):
                ranked.setdefault(near, f"beside page {page:,}")
    return ranked


def _contents_page(texts: Sequence[str]) -> int | None:
    """The first page near the beginning with "contents" on it and five lines that end in a number."""
    for k, text in enumerate(texts[: max(3, math.ceil(CONTENTS_WITHIN * len(texts)))]):
        if "contents" in text.casefold() and len(_ENTRY.findall(text[:20_000])) >= 5:
            return k + 1
    return None


def _evenly(total: int, budget: int, page_tokens: int, why: str) -> Selection:
    tokens = max(1, page_tokens // LOW)
    count = min(total, budget // tokens)
    pages = sorted({1 + k * (total - 1) // max(1, count - 1) for k in range(count)})
    return Selection(
        pages=tuple(pages),
        reasons=dict.fromkeys(pages, "evenly spread"),
        tokens=tokens,
        total=total,
        basis=f"evenly spread and small, for {why}",
    )


# Sizes -----------------------------------------------------------------------------------------------------------------------


def fit_page(
    width: float, height: float, tokens: int, tokens_of: Callable[[int, int], int], *, max_dpi: float = MAX_DPI
) -> tuple[int, int]:
    """The largest picture (width, height in pixels) of a page of so many points that takes at most `tokens`, at no more than `max_dpi`.

    `tokens_of(width, height)` in pixels is the model's own count (`ImageProcessor.token_count`), which must not fall where a picture grows.
    Raises: InputError where not even one pixel fits; MediaError for a page too elongated for the model.
    """
    low, high = 0.0, max_dpi / 72
    sizes = [_pixels(width, height, high)]
    if tokens_of(*sizes[0]) <= tokens:
        return sizes[0]
    for _ in range(40):  # halves the uncertainty each time: far below a pixel
        middle = (low + high) / 2
        size = _pixels(width, height, middle)
        if tokens_of(*size) <= tokens:
            low = middle
            sizes.append(size)
        else:
            high = middle
    if len(sizes) == 1:
        raise InputError(f"a page does not fit into {tokens:,} tokens at any size; allow more")
    return sizes[-1]


def _pixels(width: float, height: float, scale: float) -> tuple[int, int]:
    if not (math.isfinite(width * height) and width > 0 and height > 0):
        raise MediaError(f"a page of {width}×{height} points has no size")
    return max(1, int(width * scale)), max(1, int(height * scale))
