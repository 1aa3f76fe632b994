"""Where an answer stands in the pages it is about: page, box, and whether that was checked.

Rules, so that what is shown as verified can be relied on:

* A citation is verified only if its text was found in the page's own words, and its boxes are the boxes of those words. Two texts are
  the same if they agree word by word after Unicode's compatibility form (ligatures), letter case, quotes, hyphens and punctuation around
  words are taken off; a word that a line's end divides is put together. Numbers agree if they can be read as the same number: "1,234.50",
  "1.234,50" and "1234.5"; a group of three behind a single separator may be either ("1.234"), and `how` says how it was read.
* What is looked for is what an answer says that can be pinned down: the whole of it, or of a sentence, where a page has it; else the
  sentence's quotations, or its longest run of words that a page has, and its numbers and names. Texts of common words ("the", "Yes",
  "2") stand everywhere and prove nothing: they are verified only where they stand on a line with a word of the question, and are marked
  unverified otherwise.
* Where an answer names a page ("page 7", "[page 7]"), its sentence is looked for there and only there. If it stands elsewhere, the
  citation is marked unverified, and `how` says where it was found.
* Of several places the one nearest to the question's words is given, and `others` counts the rest.
* A box that the model drew is verified if the words inside it contain the text; on a page without a text layer it cannot be.
* With the page's pixels at hand, a box in which nothing is printed is not verified: text layers can say what no reader sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np

from kimi_vl.media.words import Area, PageText

MAX_WHOLE = 80  # words up to which a text is looked for as a whole
RUN = 5  # words of a longer sentence that a page has in the same order, from which on they count as copied from it
MAX_ANSWER = 20_000  # characters of an answer that are searched
MAX_CITATIONS = 50
TELLING_DIGITS = 3  # shorter numbers, like words of fewer than three letters, stand everywhere
INK = 32  # of 255, by which the darkest and the lightest pixel of a box differ where something is printed
GROWN = 0.01  # of the page by which a model's box may be too small on each side

COMMON_WORDS = frozenset(
    "a about above after all also an and any are as at be because been before but by can could did do does each for from had has have he "
    "her his how i if in into is it its me more most my no none not of on one only or other our out over page she so some such than that "
    "the their them then there these they this those to total under up was we were what when where which who why will with would yes you "
    "your".split()
)

_TOKEN = re.compile(r"(?<!\w)[-\u2212]?(?=\d)[\d.,'’\u00a0]*\d\w*|\w+(?:[.,'’/\-\u2010\u2011]\w+)*")
_PLAIN_NUMBER = re.compile(r"-?\d+(?:[.,'’]\d+)*")
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»\n]{2,300})[\"”“»]")
_PAGE = re.compile(r"[(\[]?\b(?:on\s+)?(?:page|p\.)\s*(\d{1,6})\b[)\]]?", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\[(\"“])|\n+")
_OWN_VOICE = re.compile(r"I\b")
_NAME = re.compile(r"\b[A-Z][\w'’\-]+(?:\s+(?:(?:of|and|the|de|van|von)\s+)?[A-Z][\w'’\-]+)*")


@dataclass(frozen=True, slots=True)
class Citation:
    """`text` of an answer on `page` (from 1; None: found nowhere), in `boxes`, one for each line, as shares of the page as shown.

    `how` says in words what the claim rests on or why it is not verified; `others` counts further places of the same text; `document` is
    the file's name where there is more than one.
    """

    page: int | None
    boxes: tuple[Area, ...]
    text: str
    verified: bool
    how: str
    others: int = 0
    document: str = ""

    @property
    def box(self) -> Area | None:
        """The area around all boxes."""
        if not self.boxes:
            return None
        lefts, tops, rights, bottoms = zip(*self.boxes, strict=True)
        return (min(lefts), min(tops), max(rights), max(bottoms))


class Claim(NamedTuple):
    """A box that a model drew, as shares of a page, for what it says stands there."""

    page: int
    area: Area
    text: str


class _Token(NamedTuple):
    """A word in the form in which it is compared, every way to read it as a number, and where it is in the page's list of words."""

    form: str
    numbers: frozenset[str]
    first: int
    last: int


class _Place(NamedTuple):
    page: PageText
    tokens: tuple[_Token, ...]
    nearness: int  # words of the question on its lines, twice, and on the lines beside
    is_beside: bool  # a word of the question stands on its lines


def cite(
    answer: str,
    pages: Sequence[PageText],
    *,
    question: str = "",
    quotes: Sequence[str] = (),
    claims: Sequence[Claim] = (),
    pixels: Mapping[int, np.ndarray] | None = None,
) -> list[Citation]:
    """Citations for an answer from the pages that were looked at.

    quotes: texts of the answer that are to be found besides those it quotes itself; claims: boxes that the model gave; pixels: of pages,
    uint8 [H, W, 3] by number, by which verified boxes are checked for print. In the order of the answer; claims come last.
    """
    index = [(page, _tokens_of(page)) for page in pages]
    wanted = {token.form for token in _tokens(question) if token.form not in COMMON_WORDS}
    citations = [_found(text, named, index, wanted) for text, named in _candidates(answer[:MAX_ANSWER], quotes, index)][:MAX_CITATIONS]
    citations += [_checked(claim, index) for claim in claims[:MAX_CITATIONS]]
    return [_printed(citation, pixels or {}) for citation in citations]


# What is looked for ----------------------------------------------------------------------------------------------------------


def _candidates(answer: str, quotes: Sequence[str], index: Sequence[tuple[PageText, list[_Token]]]) -> Iterator[tuple[str, int | None]]:
    """(text, page that the answer names for it), each text once."""
    seen: set[tuple[str, ...]] = set()
    for text, named in _stated(answer, quotes, index):
        key = tuple(token.form for token in _tokens(text))
        if key and key not in seen:
            seen.add(key)
            yield text, named


def _stated(answer: str, quotes: Sequence[str], index: Sequence[tuple[PageText, list[_Token]]]) -> Iterator[tuple[str, int | None]]:
    for quote in quotes:
        yield quote, None
    if not _PAGE.search(answer) and _stands(answer, index):
        yield answer.strip(), None
        return
    for sentence in _SENTENCE.split(answer)[:MAX_CITATIONS]:
        match = _PAGE.search(sentence)
        named = int(match[1]) if match else None
        plain = _PAGE.sub(" ", sentence).strip(" .,;:()[]")
        yield from ((text, named) for text in _stated_in(plain, index))


def _stated_in(sentence: str, index: Sequence[tuple[PageText, list[_Token]]]) -> list[str]:
    """What of a sentence is looked for: see the rules above."""
    if quoted := [match[1] for match in _QUOTED.finditer(sentence)]:
        return quoted
    if _stands(sentence, index):
        return [sentence]
    if run := _longest_run(sentence, index):
        return [run, *(part for part in _parts(sentence) if part not in run)]
    # "I cannot tell" says nothing about a page.
    return list(_parts(sentence)) or ([] if _OWN_VOICE.match(sentence) else [sentence])


def _stands(text: str, index: Sequence[tuple[PageText, list[_Token]]]) -> bool:
    tokens = _tokens(text)
    return 0 < len(tokens) <= MAX_WHOLE and any(_matches(own, tokens) for _, own in index)


def _longest_run(sentence: str, index: Sequence[tuple[PageText, list[_Token]]]) -> str:
    """The longest piece of a sentence, of at least RUN words, that a page has word by word; empty if there is none."""
    unified = _unified(sentence)
    spans = [match.span() for match in _TOKEN.finditer(unified)][:MAX_WHOLE]
    forms = [_token(unified[a:b], 0, 0).form for a, b in spans]
    start, size = 0, RUN - 1
    for _, own in index:
        match = SequenceMatcher(None, forms, [token.form for token in own], autojunk=False).find_longest_match()
        if match.size > size:
            start, size = match.a, match.size
    return unified[spans[start][0] : spans[start + size - 1][1]] if size >= RUN else ""


def _parts(sentence: str) -> Iterator[str]:
    """Numbers and names of a sentence, as they stand in it."""
    found = [(m.start(), m[0]) for m in _NAME.finditer(sentence) if m.start() or " " in m[0]]
    found = [(start, text) for start, text in found if text.casefold() not in COMMON_WORDS]
    taken = [range(start, start + len(text)) for start, text in found]
    for match in _TOKEN.finditer(sentence):
        if any(c.isdigit() for c in match[0]) and not any(match.start() in span for span in taken):
            found.append((match.start(), match[0]))
    yield from (text for _, text in sorted(found))


# Where it stands -------------------------------------------------------------------------------------------------------------


def _found(text: str, named: int | None, index: Sequence[tuple[PageText, list[_Token]]], wanted: set[str]) -> Citation:
    tokens = tuple(_tokens(text))
    places = [_Place(page, found, *_nearness(page, own, found, wanted)) for page, own in index for found in _matches(own, tokens)]
    places.sort(key=lambda place: -place.nearness)  # stable: equal ones in the order of pages and of reading
    if named is not None:
        here = [place for place in places if place.page.number == named]
        if not here:
            looked = "is not among the pages looked at" if all(page.number != named for page, _ in index) else "does not have it"
            elsewhere = f"; it stands on page {places[0].page.number}" if places else ""
            return Citation(named, (), text, False, f"page {named} {looked}{elsewhere}")
        places = here
    if not places:
        return Citation(None, (), text, False, "not found in the text of the pages looked at")
    best = places[0]
    others, how = len(places) - 1, _how(tokens, best.tokens)
    boxes = _boxes(best.page, best.tokens)
    if not _is_telling(tokens) and not best.is_beside:
        return Citation(best.page.number, boxes, text, False, "too common a text to be pinned to one place", others)
    return Citation(best.page.number, boxes, text, True, how, others)


def _is_telling(tokens: Sequence[_Token]) -> bool:
    """Whether a text says enough to be where it is for a reason: a long number, a code, or a word that is not one of everybody's."""
    return any(_is_rare(token) for token in tokens)


def _is_rare(token: _Token) -> bool:
    if token.numbers:
        return sum(c.isdigit() for c in token.form) >= TELLING_DIGITS
    return len(token.form) >= 3 and token.form not in COMMON_WORDS


def _matches(own: Sequence[_Token], wanted: Sequence[_Token]) -> list[tuple[_Token, ...]]:
    """Every run of a page's tokens that is the wanted one."""
    size = len(wanted)
    if not size:
        return []
    first = wanted[0]
    return [
        tuple(own[k : k + size])
        for k in range(len(own) - size + 1)
        if _same(own[k], first) and all(_same(a, b) for a, b in zip(own[k + 1 : k + size], wanted[1:], strict=True))
    ]


def _same(a: _Token, b: _Token) -> bool:
    return a.form == b.form or bool(a.numbers & b.numbers)


def _how(wanted: Sequence[_Token], found: Sequence[_Token]) -> str:
    read = [f"{b.form} is read as {min(a.numbers & b.numbers)}" for a, b in zip(wanted, found, strict=True) if a.form != b.form]
    return f"stands there; {', '.join(read)}" if read else "stands there"


def _nearness(page: PageText, own: Sequence[_Token], found: Sequence[_Token], wanted: set[str]) -> tuple[int, bool]:
    lines = {page.words[k].line for token in found for k in range(token.first, token.last + 1)}
    mine = {token.first for token in found}
    at: dict[str, int] = {}
    for token in own:
        line = page.words[token.first].line
        if token.form in wanted and token.first not in mine and min(lines) - 1 <= line <= max(lines) + 1:
            at[token.form] = max(at.get(token.form, 1), 2 if line in lines else 1)
    return sum(at.values()), 2 in at.values()


def _boxes(page: PageText, tokens: Sequence[_Token]) -> tuple[Area, ...]:
    """The area of the words on each line."""
    lines: dict[int, list[Area]] = {}
    for k in sorted({k for token in tokens for k in range(token.first, token.last + 1)}):
        lines.setdefault(page.words[k].line, []).append(page.words[k].area)
    return tuple(
        (min(a[0] for a in areas), min(a[1] for a in areas), max(a[2] for a in areas), max(a[3] for a in areas)) for areas in lines.values()
    )


# A model's own boxes, and print ------------------------------------------------------------------------------------------------


def _checked(claim: Claim, index: Sequence[tuple[PageText, list[_Token]]]) -> Citation:
    page, own = next(((page, own) for page, own in index if page.number == claim.page), (None, []))
    drawn = (claim.area,)
    if page is None:
        return Citation(claim.page, drawn, claim.text, False, f"the model's own box; page {claim.page} is not among the pages looked at")
    if not page.words:
        return Citation(claim.page, drawn, claim.text, False, "the model's own box; the page has no text layer to check it by")
    inside = [token for token in own if all(_is_inside(page.words[k].area, claim.area) for k in range(token.first, token.last + 1))]
    if _matches(inside, tuple(_tokens(claim.text))):
        return Citation(claim.page, drawn, claim.text, True, "the model's own box, and the text stands in it")
    return Citation(claim.page, drawn, claim.text, False, "the model's own box, and the text does not stand in it")


def _is_inside(word: Area, area: Area) -> bool:
    """Whether the middle of a word lies in an area grown by GROWN."""
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return area[0] - GROWN <= x <= area[2] + GROWN and area[1] - GROWN <= y <= area[3] + GROWN


def _printed(citation: Citation, pixels: Mapping[int, np.ndarray]) -> Citation:
    picture = None if citation.page is None else pixels.get(citation.page)
    if not citation.verified or picture is None or all(shows_print(picture, area) for area in citation.boxes):
        return citation
    return replace(citation, verified=False, how="the text layer has it, but nothing is printed there")


def shows_print(pixels_HWC: np.ndarray, area: Area) -> bool:
    """Whether anything differs from anything else in an area (shares) of a picture, uint8 [H, W, 3]."""
    high, wide = pixels_HWC.shape[:2]
    left, top = int(area[0] * wide), int(area[1] * high)
    cut = pixels_HWC[top : max(top + 1, round(area[3] * high)), left : max(left + 1, round(area[2] * wide))]
    return bool(cut.size) and int((cut.max((0, 1)).astype(int) - cut.min((0, 1))).max()) >= INK


# Words in the form in which they are compared ----------------------------------------------------------------------------------


def _tokens(text: str) -> list[_Token]:
    return [_token(match[0], 0, 0) for match in _TOKEN.finditer(_unified(text))]


def _tokens_of(page: PageText) -> list[_Token]:
    """The tokens of a page; the halves of a word that a line's end divides are one, of two words."""
    tokens: list[_Token] = []
    carried, since = "", 0
    for k, word in enumerate(page.words):
        text = carried + _unified(word.text)
        start = since if carried else k
        carried = ""
        follows = k + 1 < len(page.words) and page.words[k + 1].line == word.line + 1
        if follows and text.endswith("-") and len(text) > 1 and text[-2].isalpha() and page.words[k + 1].text[:1].isalpha():
            carried, since = text[:-1], start
            continue
        tokens += [_token(match[0], start, k) for match in _TOKEN.finditer(text)]
    return tokens


def _unified(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
    return re.sub("[\u2010\u2011\u2012\u2013\u2212]", "-", re.sub("[’‘ʼ]", "'", text))


def _token(text: str, first: int, last: int) -> _Token:
    if _PLAIN_NUMBER.fullmatch(text):
        return _Token(text, _readings(text), first, last)
    form = text.casefold()
    return _Token(form if any(c.isdigit() for c in form) else form.replace("-", "").replace("'", ""), frozenset(), first, last)


def _readings(text: str) -> frozenset[str]:
    """Every number that a text may mean, in one form: "1,234" is 1234 and 1.234, "1,234.50" only 1234.5."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    marks, pieces = re.findall(r"[.,']", digits), re.split(r"[.,']", digits)
    readings = set()
    if not marks:
        readings.add((digits, ""))
    if marks and len(set(marks)) == 1 and _is_grouped(pieces):
        readings.add(("".join(pieces), ""))
    if len(marks) == 1 and marks[0] != "'":
        readings.add((pieces[0], pieces[1]))
    if len(marks) > 1 and len(set(marks[:-1])) == 1 and marks[-1] not in ("'", marks[0]) and _is_grouped(pieces[:-1]):
        readings.add(("".join(pieces[:-1]), pieces[-1]))
    return frozenset(_written(sign, whole, part) for whole, part in readings)


def _is_grouped(pieces: Sequence[str]) -> bool:
    return len(pieces[0]) <= 3 and all(len(piece) == 3 for piece in pieces[1:])


def _written(sign: str, whole: str, part: str) -> str:
    part = part.rstrip("0")
    return f"{sign}{whole.lstrip('0') or '0'}{'.' if part else ''}{part}"
