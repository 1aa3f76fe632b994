"""What a caller passes as media, opened, and what a question sees of it. Needs a checkpoint's processor, not its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from PIL import Image

from kimi_vl.errors import InputError
from kimi_vl.llm.options import PREFIXES, Thinking
from kimi_vl.media import Frames, Medium, open_medium
from kimi_vl.media.budget import DecodedBudget
from kimi_vl.media.fetch import Fetcher, RequestFetcher
from kimi_vl.processor import Processor
from kimi_vl.processor.chat import MAX_IMAGES, Message
from kimi_vl.processor.views import Arrived, Choice, Sight, look

Media = str | Path | bytes | BinaryIO | Image.Image | Frames | Medium
Messages = Sequence[Mapping[str, Any] | Message]

MAX_HELD_BYTES = 4 << 30  # of one question's decoded pictures, 110 of 12 megapixels; a server says less (RELIABILITY G6)


def one_or_several(media: Media | Sequence[Media]) -> list[Media]:
    """What was passed as media, as a list; the frames of one clip are one medium."""
    if isinstance(media, (str, Path, bytes, Image.Image, Medium)) or hasattr(media, "read"):
        return [cast("Media", media)]
    items = list(cast("Sequence[Media]", media))
    return cast("list[Media]", [items] if items and isinstance(items[0], tuple) else items)


def open_media(media: Media | Sequence[Media], password: str | None = None) -> list[Medium]:
    """All of them open, or none; their pictures take `MAX_HELD_BYTES` together. Raises: MediaError, InputError."""
    items = one_or_several(media)
    if len(items) > MAX_IMAGES:
        raise InputError(f"media holds {len(items)} pictures; at most {MAX_IMAGES} are taken")
    fetcher, budget = RequestFetcher(Fetcher()), DecodedBudget(MAX_HELD_BYTES)
    opened: list[Medium] = []
    try:
        for item in items:
            opened.append(open_medium(item, password=password, fetcher=fetcher, budget=budget))
    except BaseException:
        for medium in opened:
            medium.close()
        raise
    return opened


def look_at(
    processor: Processor,
    context: int,
    question: str,
    media: Media | Sequence[Media],
    *,
    before: Messages = (),
    thinking: Thinking = "auto",
    password: str | None = None,
    arrived: Arrived | None = None,
    **choice: Any,
) -> Sight:
    """As `KimiVL.look`, of a checkpoint's processor and its context (tokens) alone, without weights; `arrived` as for `views.look`."""
    check_question(question)
    chosen = choice_of(choice)
    used = processor.length([*before, {"role": "user", "content": question}], PREFIXES.get(thinking, ""))
    items = one_or_several(media)
    opened = open_media(items, password)
    try:
        return look(question, opened, processor, context=context, used=used, choice=chosen, arrived=arrived)
    except BaseException:
        for given, medium in zip(items, opened, strict=True):
            if given is not medium:
                medium.close()
        raise


def choice_of(options: Mapping[str, Any]) -> Choice:
    """What the options of a question say about what is looked at. Raises: InputError."""
    return Choice(**{name: value for name, value in options.items() if name != "password"})


def check_question(question: object) -> None:
    """Raises: InputError for what is no text, or an empty one."""
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"question is {ascii(question)[:40]}; it must be a text")
