"""What an answer points at, and where what it says stands: boxes and points in the pictures it is about, citations in the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from kimi_vl.media.medium import Document
from kimi_vl.processor.citations import Citation, Claim, cite
from kimi_vl.processor.drawing import draw_places
from kimi_vl.processor.grounding import Box, Point, find_grounding
from kimi_vl.processor.views import Sight, View

_NUMBERS = re.compile(r"[\[(][\s\d.,;=xy-]*[\])]")  # a place that has been read, which no page says
MAX_QUOTES = 200  # of the values of a document that an answer is


@dataclass(frozen=True, slots=True)
class Findings:
    """`boxes` and `points` lie in view number `image_index`: pixels of a picture or video as its file has it, shares of a page."""

    citations: tuple[Citation, ...] = ()
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()


def find(sight: Sight, question: str, answer: str) -> Findings:
    """See `Findings`. The words of the pages that were looked at are read for it. Raises: MediaError where that fails."""
    if not sight.views or not answer.strip():
        return Findings()
    sizes = [(1, 1) if view.page is not None else view.size_before for view in sight.views]
    found = find_grounding(answer, sizes, seen=[view.size for view in sight.views])
    citations: list[Citation] = []
    documents = [k for k, medium in enumerate(sight.media) if isinstance(medium, Document)]
    for k in documents:
        cited = _cited(sight, k, question, answer, found.boxes)
        citations += cited if len(documents) == 1 else [replace(citation, document=sight.media[k].name) for citation in cited]
    return Findings(tuple(_settled(citations)), found.boxes, found.points)


def _cited(sight: Sight, number: int, question: str, answer: str, boxes: Sequence[Box]) -> list[Citation]:
    """Of one document."""
    document, views = sight.media[number], [view for view in sight.views if view.medium == number and view.page is not None]
    assert isinstance(document, Document)
    claims = []
    for box in boxes:
        view = sight.views[box.image_index]
        if view.medium == number and view.page is not None and box.label:
            claims.append(Claim(view.page, (box.left, box.top, box.right, box.bottom), box.label))
    said, quotes = _said(answer)
    pixels = {view.page: view.cut.pixels() for view in views if view.page is not None}
    return cite(said, document.words(list(pixels)), question=question, quotes=quotes, claims=claims, pixels=pixels)


def _said(answer: str) -> tuple[str, list[str]]:
    """The text that may stand on a page, or the values of an answer that is a JSON document."""
    if answer.lstrip()[:1] in ("{", "[", '"'):
        try:
            return "", list(_values(json.loads(answer)))[:MAX_QUOTES]
        except (ValueError, RecursionError):
            pass
    plain = _NUMBERS.sub(" ", answer)
    return (plain if any(c.isalnum() for c in plain) else ""), []


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _values(entry)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _values(entry)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _settled(citations: Sequence[Citation]) -> Iterator[Citation]:
    """Of several documents: what stands in one need not stand in the others, and what stands in none is said once."""
    verified = {citation.text for citation in citations if citation.verified}
    failed: set[str] = set()
    for citation in citations:
        if citation.verified:
            yield citation
        elif citation.text not in verified | failed:
            failed.add(citation.text)
            yield citation


def drawn(sight: Sight, found: Findings) -> Iterator[tuple[View, Image.Image]]:
    """Each picture that an answer points at, as large as its medium holds it, with what it points at: boxes, points, verified citations.

    Raises: MediaError where a file cannot be read any more.
    """
    several = len({view.medium for view in sight.views if view.page is not None}) > 1
    for k, view in enumerate(sight.views):
        places: list[Box | Point] = [box for box in found.boxes if box.image_index == k]
        places += [point for point in found.points if point.image_index == k]
        if view.page is not None:
            cited = [c for c in found.citations if c.verified and c.page == view.page and (not several or c.document == view.name)]
            places += [Box(*area, label=c.text, image_index=k) for c in cited for area in c.boxes]
        if places:
            image = sight.frame(view).image
            yield view, draw_places(image, [_on(place, image.size) for place in places] if view.page is not None else places, image_index=k)


def _on(place: Box | Point, size: tuple[int, int]) -> Box | Point:
    """Shares of a page as pixels of its picture."""
    width, height = size
    if isinstance(place, Point):
        return replace(place, x=place.x * width, y=place.y * height)
    return replace(place, left=place.left * width, top=place.top * height, right=place.right * width, bottom=place.bottom * height)
