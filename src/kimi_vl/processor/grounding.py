"""Boxes, points and actions in an answer's text, in pixels of the original picture.

The family publishes no convention (Kimi-VL issues 22, 52, 56, 65), so several are read, most explicit first, and what one has read no other
reads again:

1. JSON, in a fence or bare: objects with `bbox_2d`, `bbox` or `box` (four numbers), or with `point_2d`, `point` or `coordinate` (two);
   `label`, `text` or `name` names the thing, `image` (from 1) the picture.
2. `<box>` and `<point>` (also `<|box_start|>`...`<|box_end|>`) with their numbers; `<ref>` before one names the thing.
3. Calls, alone or of `pyautogui` and `computer`: `click(x=0.1, y=0.2)`, `write("text")`, `hotkey("ctrl", "c")`, `terminate("success")`.
4. `(x=0.5, y=0.5)`, `[0.1, 0.2, 0.3, 0.4]` and `(0.1, 0.2)`: four numbers are a box, two a point, as nano writes them. What stands before
   on the line names the thing; "image 2" there, the picture.

All are x before y: left, top, right, bottom. Whether numbers are shares, thousandths or pixels is decided once for a whole answer, because
no model mixes them: shares where none is above 2, or where a piece has fractions and nothing above 1; thousandths where a `<box>` or
`<point>` holds them, or where one lies outside the picture and none is above 1000; pixels otherwise. A caller who knows says so.

Shares and thousandths are of the picture's content, not of the canvas that the processor pads right and below: that is how nano is trained,
and what its boxes fit (docs/media.md). Pixels are of the picture as the model sees it, scaled down where the processor had to.

What is malformed is left out and counted: turned inside out, without area, more than 2 % outside the picture, of the wrong count of
numbers, of a picture that there is not.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

from kimi_vl.errors import InputError

Convention = Literal["auto", "shares", "thousandths", "pixels"]
CONVENTIONS: tuple[Convention, ...] = ("auto", "shares", "thousandths", "pixels")

MAX_TEXT = 100_000  # characters of an answer that are searched
MAX_CALL = 2_000  # characters of one call
MAX_FOUND = 1_000  # boxes, points and actions of one answer; a loop of a model is cut here
SMALLEST_PIXELS = 2  # what reaches no farther is no answer in pixels or thousandths: nobody points at the first two of a picture
OUTSIDE = 0.02  # of a side by which a coordinate may miss the picture before it counts as malformed; nearer ones are moved to its edge


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the original picture number `image_index`, from its upper left corner. `label` is empty where nothing names the thing."""

    left: float
    top: float
    right: float
    bottom: float
    label: str = ""
    image_index: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """As `Box`."""

    x: float
    y: float
    label: str = ""
    image_index: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """What to do on a screen: `kind` is one of `KINDS`; `point` is where (None: where the pointer is, or nowhere).

    `text` is what to type, or how a task ended; `keys` what to press together; `amount` how far to scroll or how many seconds to wait.
    """

    kind: str
    point: Point | None = None
    text: str = ""
    keys: tuple[str, ...] = ()
    amount: float | None = None


@dataclass(frozen=True, slots=True)
class Grounding:
    """What an answer points at, each kind in the order of the text; how its numbers were read; how many malformed pieces were left out."""

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    actions: tuple[Action, ...] = ()
    convention: Convention = "shares"
    ignored: int = 0

    @property
    def places(self) -> tuple[Box | Point, ...]:
        """All that can be drawn: boxes, points, and where actions are, labelled by their kind."""
        acted = [replace(a.point, label=a.point.label or a.kind.replace("_", " ")) for a in self.actions if a.point is not None]
        return (*self.boxes, *self.points, *acted)


# Names of calls, in lower case and without underscores. Scrolling and dragging go from where the pointer is, as in pyautogui.
KINDS = dict(
    pair.split(":")
    for pair in (
        "click:click leftclick:click tap:click doubleclick:double_click tripleclick:triple_click rightclick:right_click "
        "middleclick:middle_click moveto:move dragto:drag scroll:scroll hscroll:scroll_sideways write:type typewrite:type type:type "
        "press:press hotkey:press wait:wait sleep:wait terminate:terminate finished:terminate"
    ).split()
)

_OBJECT = re.compile(r'\{\s*"|\[\s*\{')
_CALL = re.compile(r"\b(?:(?:pyautogui|computer|time)\.)?([A-Za-z_]{3,20})\(")
_NUMBER = r"-?\d{1,6}(?:\.\d{1,12})?"
_NUMBERS = re.compile(_NUMBER)
_TAG = re.compile(r"<\|?(box|point)(?:_start)?\|?>(.{0,200}?)<\|?/?\1(?:_end)?\|?>", re.DOTALL)
_REF = re.compile(r"<\|?(?:ref|object_ref)(?:_start)?\|?>([^<]{0,200})<\|?/?(?:ref|object_ref)(?:_end)?\|?>\s*$")
_NAMED = re.compile(rf"\(\s*x\s*[=:]\s*({_NUMBER})\s*,\s*y\s*[=:]\s*({_NUMBER})\s*\)")
_GROUP = re.compile(rf"[\[(]\s*({_NUMBER}(?:\s*,\s*{_NUMBER}){{1,9}})\s*[\])]")
_IMAGE = re.compile(r"\[?\b(?:image|picture|page|screenshot)\s+(\d{1,4})\b\]?\s*:?\s*", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+")

BOX_KEYS, POINT_KEYS, LABEL_KEYS = ("bbox_2d", "bbox", "box"), ("point_2d", "point", "coordinate"), ("label", "text", "name")
OTHER_ORDER = ("box_2d",)  # Gemini's, y before x: not of this family, and read as x before y it would be wrong


class _Found(NamedTuple):
    """A piece as it was written: numbers (2 or 4, None where there is no place), where it began, and what it belongs to."""

    start: int
    numbers: tuple[float, ...] | None
    label: str = ""
    image: int | None = None
    is_tag: bool = False
    action: Action | None = None


def find_grounding(
    text: str,
    sizes: Sequence[tuple[int, int]],
    *,
    seen: Sequence[tuple[int, int]] | None = None,
    convention: Convention = "auto",
) -> Grounding:
    """What `text` points at in pictures of `sizes` (width, height in pixels, as the user has them).

    `seen` are their sizes as the model sees them (`ImageProcessor.resized_size`), which pixels are read by; the same where it is left out.
    A piece that names no picture is of the first.
    Raises: InputError without a picture, or for an unknown convention.
    """
    seen = sizes if seen is None else seen
    if not sizes or len(seen) != len(sizes) or min(side for size in (*sizes, *seen) for side in size) < 1:
        raise InputError(f"sizes are {list(sizes)} and seen {list(seen)}; there must be one (width, height) above zero for each picture")
    if convention not in CONVENTIONS:
        raise InputError(f"convention is {convention!r}; it must be one of {', '.join(map(repr, CONVENTIONS))}")
    pieces, ignored = _pieces(text[:MAX_TEXT])
    decided = _decided(pieces, seen) if convention == "auto" else convention
    boxes: list[Box] = []
    points: list[Point] = []
    actions: list[Action] = []
    for piece in pieces[:MAX_FOUND]:
        placed = _placed(piece, sizes, seen, decided)
        if placed is None:
            ignored += 1
        elif isinstance(placed, Action):
            actions.append(placed)
        elif isinstance(placed, Box):
            boxes.append(placed)
        else:
            points.append(placed)
    return Grounding(tuple(boxes), tuple(points), tuple(actions), decided, ignored + max(0, len(pieces) - MAX_FOUND))


# What is written -------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """A text of which parts are taken out as they are read, so that what follows cannot read them again."""

    text: str
    pieces: list[_Found] = field(default_factory=list)
    ignored: int = 0

    def take(self, start: int, end: int, piece: _Found | None) -> None:
        self.text = f"{self.text[:start]}{' ' * (end - start)}{self.text[end:]}"
        if piece is None:
            self.ignored += 1
        else:
            self.pieces.append(piece)


def _pieces(text: str) -> tuple[list[_Found], int]:
    """All pieces in the order of the text, and how many looked like one and were none."""
    reader = _Reader(text)
    _read_json(reader)
    _read_tags(reader)
    _read_calls(reader)
    _read_groups(reader)
    return sorted(reader.pieces, key=lambda piece: piece.start), reader.ignored


def _read_json(reader: _Reader) -> None:
    decoder = json.JSONDecoder(parse_constant=lambda name: None)
    at = 0
    for match in islice(_OBJECT.finditer(reader.text), MAX_FOUND):
        if match.start() < at:
            continue
        try:
            value, end = decoder.raw_decode(reader.text, match.start())
        except (ValueError, RecursionError):
            continue
        objects = [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]
        if any(key in entry for entry in objects for key in (*BOX_KEYS, *POINT_KEYS, *OTHER_ORDER)):
            found = [_of_object(entry, match.start()) for entry in objects]
            reader.take(match.start(), end, found[0])
            for piece in found[1:]:
                reader.take(end, end, piece)
            at = end


def _of_object(entry: dict[str, Any], start: int) -> _Found | None:
    for keys, count in ((BOX_KEYS, 4), (POINT_KEYS, 2)):
        for key in keys:
            numbers = entry.get(key)
            if isinstance(numbers, list) and len(numbers) == count and all(map(_is_number, numbers)):
                label = next((entry[k] for k in LABEL_KEYS if isinstance(entry.get(k), str)), "")
                image = entry.get("image")
                return _Found(start, tuple(map(float, numbers)), _tidy(label), image if type(image) is int else None)
    return None


def _read_tags(reader: _Reader) -> None:
    for match in _TAG.finditer(reader.text):
        numbers = tuple(map(float, _NUMBERS.findall(match[2])))
        ref = _REF.search(reader.text, max(0, match.start() - 300), match.start())
        piece = _Found(match.start(), numbers, _tidy(ref[1]) if ref else "", is_tag=True) if len(numbers) in (2, 4) else None
        reader.take(match.start(), match.end(), piece)


def _read_calls(reader: _Reader) -> None:
    for match in islice(_CALL.finditer(reader.text), MAX_FOUND):
        kind = KINDS.get(match[1].replace("_", "").lower())
        end = _closing(reader.text, match.end())
        if kind is None or end is None:
            continue
        reader.take(match.start(), end, _of_call(kind, reader.text[match.start(1) : end], match.start()))


def _closing(text: str, start: int) -> int | None:
    """Behind the parenthesis that closes the one before `start`; those in strings do not count."""
    depth, quote = 1, ""
    for k in range(start, min(len(text), start + MAX_CALL)):
        c = text[k]
        if quote:
            quote = "" if c == quote and text[k - 1] != "\\" else quote
        elif c in "'\"":
            quote = c
        elif c in "()":
            depth += 1 if c == "(" else -1
            if depth == 0:
                return k + 1
    return None


def _of_call(kind: str, source: str, start: int) -> _Found | None:
    """A call of literals as an action; nothing in it is run. None for one that is malformed."""
    try:
        call = ast.parse(source, mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        values = [ast.literal_eval(value) for value in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    return _action(kind, values, named, start)


def _action(kind: str, values: list[Any], named: dict[str | None, Any], start: int) -> _Found | None:
    texts = [v for v in (*values, *named.values()) if isinstance(v, str)]
    numbers = [v for v in values if type(v) in (int, float)]
    if kind == "type":
        return _Found(start, None, action=Action(kind, text=texts[0])) if texts else None
    if kind == "terminate":
        return _Found(start, None, action=Action(kind, text=texts[0] if texts else ""))
    if kind == "press":
        keys = [key for v in (*values, *named.values()) for key in (v if isinstance(v, (list, tuple)) else [v]) if isinstance(key, str)]
        return _Found(start, None, action=Action(kind, keys=tuple(keys[:8]))) if keys else None
    if kind in ("wait", "scroll", "scroll_sideways"):
        amount = next((named[k] for k in ("clicks", "amount", "seconds") if k in named), values[0] if values else None)
        if amount is not None and not _is_number(amount):
            return None
        where = (named.get("x"), named.get("y")) if kind != "wait" else (None, None)
        return _at(start, where, Action(kind, amount=None if amount is None else float(amount)), is_optional=True)
    x, y = named.get("x", numbers[0] if numbers else None), named.get("y", numbers[1] if len(numbers) > 1 else None)
    if values and isinstance(values[0], (list, tuple)) and len(values[0]) == 2:
        x, y = values[0]
    return _at(start, (x, y), Action(kind), is_optional=not values and not named)


def _at(start: int, where: tuple[Any, Any], action: Action, *, is_optional: bool) -> _Found | None:
    if is_optional and where == (None, None):
        return _Found(start, None, action=action)
    if all(map(_is_number, where)):
        return _Found(start, (float(where[0]), float(where[1])), action=action)
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e6


def _read_groups(reader: _Reader) -> None:
    for match in _NAMED.finditer(reader.text):
        label, image = _before(reader.text, match.start())
        reader.take(match.start(), match.end(), _Found(match.start(), (float(match[1]), float(match[2])), label, image))
    for match in _GROUP.finditer(reader.text):
        numbers = tuple(map(float, _NUMBERS.findall(match[1])))
        label, image = _before(reader.text, match.start())
        reader.take(match.start(), match.end(), _Found(match.start(), numbers, label, image) if len(numbers) in (2, 4) else None)


def _before(text: str, start: int) -> tuple[str, int | None]:
    """What the line says before a piece (since the piece before it) names the thing; "image 2" in it, the picture."""
    line = text[max(0, start - 200) : start].rpartition("\n")[2]
    line = line.rpartition("  ")[2] if line.strip() else ""
    line = _BULLET.sub("", line)
    image = _IMAGE.search(line)
    return _tidy(_IMAGE.sub("", line, count=1)), int(image[1]) if image else None


def _tidy(label: str) -> str:
    return " ".join("".join(c for c in label if c.isprintable() or c.isspace()).split()).strip("*_`\"' :;,=-–(").strip()[:100]


# Where it is -------------------------------------------------------------------------------------------------------------------


def _decided(pieces: Sequence[_Found], seen: Sequence[tuple[int, int]]) -> Convention:
    """How the numbers of an answer are meant, all together."""
    numbered = [piece for piece in pieces if piece.numbers]
    largest = max((abs(number) for piece in numbered for number in piece.numbers or ()), default=0.0)
    if largest <= SMALLEST_PIXELS or any(_is_fraction(piece.numbers or ()) for piece in numbered):
        return "shares"
    if largest <= 1000 and (any(piece.is_tag for piece in numbered) or any(_is_beyond(piece, seen) for piece in numbered)):
        return "thousandths"
    return "pixels"


def _is_fraction(numbers: Sequence[float]) -> bool:
    return max(map(abs, numbers)) <= 1 and any(not number.is_integer() for number in numbers)


def _is_beyond(piece: _Found, seen: Sequence[tuple[int, int]]) -> bool:
    width, height = seen[_index(piece, len(seen)) or 0]
    return any(n > (1 + OUTSIDE) * side for n, side in zip(piece.numbers or (), (width, height) * 2, strict=False))


def _index(piece: _Found, count: int) -> int | None:
    """The picture of a piece, from 0; None where it names one that there is not."""
    index = 0 if piece.image is None else piece.image - 1
    return index if 0 <= index < count else None


def _placed(
    piece: _Found, sizes: Sequence[tuple[int, int]], seen: Sequence[tuple[int, int]], convention: Convention
) -> Box | Point | Action | None:
    """A piece in pixels of its picture; None if it lies outside or has no area."""
    if piece.numbers is None:
        return piece.action
    index = _index(piece, len(sizes))
    if index is None:
        return None
    whole: tuple[float, float] = {"shares": (1.0, 1.0), "thousandths": (1000.0, 1000.0)}.get(convention, seen[index])
    shares = [number / side for number, side in zip(piece.numbers, whole * 2, strict=False)]
    if any(not -OUTSIDE <= share <= 1 + OUTSIDE for share in shares):
        return None
    placed = [min(1.0, max(0.0, share)) * side for share, side in zip(shares, sizes[index] * 2, strict=False)]
    if len(placed) == 2:
        point = Point(placed[0], placed[1], piece.label, index)
        return point if piece.action is None else replace(piece.action, point=point)
    if piece.action is not None or placed[2] <= placed[0] or placed[3] <= placed[1]:
        return None
    return Box(placed[0], placed[1], placed[2], placed[3], piece.label, index)
