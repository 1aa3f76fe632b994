"""Web pages of the pack, whole or in part: drawn by a browser when the pack was built, cut, scaled and asked about here."""

from collections.abc import Mapping
from functools import lru_cache
from math import cos, pi, sin
from typing import Any, NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import MIN_X_HEIGHT, Content
from kimi_vl.training.synth.pack import WebPage
from kimi_vl.training.synth.places import corners
from kimi_vl.training.synth.questions import Draft
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.web_turns import Item, View, WebTurns, items_of

MOST_PIXELS = 672 * 896
LONGEST = 896  # pixels of a side
Frame = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the page
LEAST_SIDE = 224  # pixels of a part of a page
NARROW, WIDE = "fijlrt.,:;'|!()[]I1", "mwMWGOQ@%"  # widths of characters in a word, where only the word's is known: 0.6 and 1.4


class Word(NamedTuple):
    """A visible word: from x0 to x1, its x-height's middle at y (pixels)."""

    text: str
    x0: float
    x1: float
    y: float


class Layout(NamedTuple):
    """A page read from the pack, in pixels of its picture: words in reading order, elements, the least x-height."""

    words: list[Word]
    items: list[Item]
    x_height: float


class Print(Canvas):
    """A picture that was drawn elsewhere, as a canvas: it has its text already."""

    def __init__(self, image: np.ndarray, chars: np.ndarray, text: str) -> None:
        self.width, self.height = image.shape[1], image.shape[0]
        self._printed = (image, chars, text)

    def finish(self, height: int | None = None) -> tuple[np.ndarray, np.ndarray, str]:
        """What was given; nothing is cut."""
        return self._printed


@lru_cache(maxsize=512)
def layout(page: WebPage) -> Layout:
    """The page's record, read once per process (some 50 KB each)."""
    words = [Word(text, x0, x1, y) for text, x0, x1, y in page.facts["words"]]
    return Layout(words, items_of(page.facts["items"]), page.facts["x_height"])


def web(content: Content) -> Draft:
    """A page or a part of one, at 0.6 to 1.3 of its size, in its own colours or others, with 3 to 6 turns. Raises Overfull."""
    rng = content.rng
    page = content.one(content.pack.web_pages(content.split))
    found = layout(page)
    image = np.asarray(cv2.imdecode(np.frombuffer(page.picture, np.uint8), cv2.IMREAD_COLOR))[:, :, ::-1]
    frame: Frame = (0, 0, image.shape[1], image.shape[0])
    if content.chance(0.6):
        frame = part(content, found, frame)
    x0, y0, x1, y1 = frame
    scale = 1.0 if content.chance(0.25) else max(MIN_X_HEIGHT / found.x_height, rng.uniform(0.6, 1.3))
    left, top, right, bottom = margins(content) if content.chance(0.35) else (0, 0, 0, 0)
    width, height = x1 - x0 + left + right, y1 - y0 + top + bottom
    scale = min(scale, (MOST_PIXELS / width / height) ** 0.5, LONGEST / width, LONGEST / height)
    image = np.ascontiguousarray(image[y0:y1, x0:x1])
    if scale != 1.0:
        size = (int((x1 - x0) * scale), int((y1 - y0) * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    image = recoloured(content, image)
    if left + top + right + bottom:
        left, top, right, bottom = (int(side * scale) for side in (left, top, right, bottom))
        ground = image[-1, -1].tolist() if content.chance(0.5) else [rng.randrange(256) for _ in range(3)]
        image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=ground)
    words = [w for w in found.words if x0 <= w.x0 and w.x1 <= x1 and y0 < w.y < y1]
    words = [Word(w.text, (w.x0 - x0) * scale + left, (w.x1 - x0) * scale + left, (w.y - y0) * scale + top) for w in words]
    if not words:
        raise Overfull("this part of the page is empty")
    items = []
    for item in found.items:
        if holds(frame, item.box):
            u0, v0, u1, v1 = item.box
            box = ((u0 - x0) * scale + left, (v0 - y0) * scale + top, (u1 - x0) * scale + left, (v1 - y0) * scale + top)
            items.append(item._replace(box=box))
    view = seen(content, words, items, found.x_height * scale)
    turns = rng.randint(3, 6)
    return Draft(
        Print(image, characters(words), "\n".join(view.rows)),
        image.shape[0],
        found.x_height * scale,
        lambda interview: WebTurns(content, interview, view).draw(turns),
        outlines=[corners(*item.box) for item in items],
    )


def margins(content: Content) -> tuple[int, int, int, int]:
    """What lies around a page: left, top, right, bottom, in pixels of the page."""
    wide, high = content.rng.randint(0, 110), content.rng.randint(0, 110)
    return (content.rng.randint(0, wide), content.rng.randint(0, high), wide, high)


def recoloured(content: Content, image: np.ndarray) -> np.ndarray:
    """The hue turned, every fourth time light and dark exchanged: one linear map, which keeps greys grey and text readable."""
    rng, inverted, turned = content.rng, content.chance(0.25), content.chance(0.5)
    if not (inverted or turned):
        return image
    angle = rng.uniform(0.35, 5.9) if turned else 0.0
    if inverted:
        angle += pi  # after which blue is blue again
    turn = np.full((3, 3), (1 - cos(angle)) / 3)  # about the axis of greys
    turn += cos(angle) * np.eye(3) + sin(angle) / 3**0.5 * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    if not inverted:
        return np.asarray(cv2.transform(image, turn))
    keep = rng.uniform(0.8, 0.95)
    return np.asarray(cv2.transform(image, np.hstack([-keep * turn, np.full((3, 1), rng.uniform(225, 252))])))


def seen(content: Content, words: list[Word], items: list[Item], x_height: float) -> View:
    """What can be asked about."""
    rows = in_rows(words, x_height)
    icons = max((icons.names for icons in content.pack.icons(content.split) if icons.kind == "signs"), key=len)
    return View(tuple(items), tuple(" ".join(word.text for word in row) for row in rows), tuple(row[0].y for row in rows), icons)


def whole(content: Content, facts: Mapping[str, Any]) -> View:
    """All of a page as `sources/web.py` recorded it."""
    words = [Word(text, x0, x1, y) for text, x0, x1, y in facts["words"]]
    return seen(content, words, items_of(facts["items"]), facts["x_height"])


def part(content: Content, found: Layout, frame: Frame) -> Frame:
    """A frame within the page that cuts no word and no element and leaves each with its name, or all of it where none is met."""
    whole_text = " ".join(word.text for word in found.words).casefold()
    for _ in range(6):
        drawn = draw_part(content, found, frame)
        text = " ".join(word.text for word in found.words if holds(drawn, (word.x0, word.y, word.x1, word.y))).casefold()
        if all(is_named(item, whole_text, text) for item in found.items if holds(drawn, item.box)):
            return drawn
    return frame


def holds(frame: Frame, box: tuple[float, float, float, float]) -> bool:
    """Whether a box is within a frame, to a pixel."""
    return frame[0] <= box[0] + 1 and box[2] - 1 <= frame[2] and frame[1] <= box[1] + 1 and box[3] - 1 <= frame[3]


def is_named(item: Item, whole_text: str, text: str) -> bool:
    """Whether the names by which an element is asked for are still to be seen, as far as the whole page showed them."""
    names = [item.label, str(item.known.get("group", "")), *item.thing.split()]
    return all(name.casefold() in text for name in names if name.casefold() in whole_text)


def draw_part(content: Content, found: Layout, frame: Frame) -> Frame:
    """Between gaps of the page's rows, and perhaps of its columns."""
    _, _, width, height = frame
    reach = found.x_height * 1.6
    spans = [(word.y - reach, word.y + reach) for word in found.words] + [(item.box[1], item.box[3]) for item in found.items]
    top, bottom = cuts(content, spans, height)
    within = [word for word in found.words if top <= word.y <= bottom]
    kept = [item for item in found.items if top <= item.box[1] + 1 and item.box[3] - 1 <= bottom]
    spans = [(word.x0 - 3, word.x1 + 3) for word in within] + [(item.box[0], item.box[2]) for item in kept]
    left, right = cuts(content, spans, width) if content.chance(0.5) else (0, width)
    return left, top, right, bottom


def cuts(content: Content, spans: list[tuple[float, float]], side: int) -> tuple[int, int]:
    """Two places in gaps between the spans, LEAST_SIDE apart at least; the whole side where there are none."""
    free = np.ones(side + 1, bool)
    for low, high in spans:
        free[max(0, int(low) + 1) : max(0, int(high) + 1)] = False
    places = np.flatnonzero(free).tolist()
    for _ in range(8):
        low, high = sorted((content.one([0, *places]), content.one([*places, side])))
        if high - low >= LEAST_SIDE:
            return low, high
    return 0, side


def in_rows(words: list[Word], x_height: float) -> list[list[Word]]:
    """Words that follow each other on one line are a row."""
    rows: list[list[Word]] = []
    for word in words:
        if rows and abs(word.y - rows[-1][-1].y) < 0.5 * x_height and word.x0 >= rows[-1][-1].x1 - 2:
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows


def characters(words: list[Word]) -> np.ndarray:
    """Code point and centre of every character, float32 [n, 3]; within a word they are laid out by their usual widths."""
    found = []
    for text, x0, x1, y in words:
        widths = np.array([0.6 if c in NARROW else 1.4 if c in WIDE else 1.2 if c.isupper() else 1.0 for c in text])
        middles = (np.cumsum(widths) - widths / 2) / widths.sum()
        found += [(ord(c), x0 + m * (x1 - x0), y) for c, m in zip(text, middles.tolist(), strict=True)]
    return np.array(found, np.float32).reshape(-1, 3)
