"""A conversation as the model sees it: every picture, clip and document in its messages looked at, and what each of them costs.

Needs a checkpoint's processor, not its weights. `KimiVL.chat`, `ask --dry-run` and whoever counts tokens for somebody else go through
`see_messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from PIL import Image

from kimi_vl.errors import InputError, MediaError
from kimi_vl.llm.options import PREFIXES, Thinking
from kimi_vl.llm.seeing import MAX_HELD_BYTES, Messages, choice_of
from kimi_vl.media import Medium, load_image, open_medium
from kimi_vl.media.budget import DecodedBudget
from kimi_vl.media.fetch import Fetcher, RequestFetcher
from kimi_vl.media.medium import Still
from kimi_vl.media.sources import SCHEME, Fetches, short
from kimi_vl.processor import Processor
from kimi_vl.processor.chat import ImagePart, MediumPart, Message, TextPart, normalise, rendered_length
from kimi_vl.processor.image import Cut
from kimi_vl.processor.views import Arrived, Sight, look

Slot = tuple[int, int]  # number of a message, and of a part of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What messages may name. `paths`: folders in which files may lie; None is any file, () none. `fetcher`: fetches web addresses; None
    refuses them. `held_bytes`: of all decoded pictures together.
    """

    paths: Sequence[str | Path] | None = None
    fetcher: Fetches | None = None
    held_bytes: int = MAX_HELD_BYTES

    @classmethod
    def of_caller(cls, paths: Sequence[str | Path] | None = None) -> Self:
        """What somebody may who calls from Python: any file, or those in `paths`, and public web addresses. Raises: InputError."""
        if isinstance(paths, (str, Path)) or not all(isinstance(folder, (str, Path)) for folder in paths or ()):
            raise InputError(f"paths is {str(paths)[:60]!r}; it must be a list of folders")
        return cls(paths=paths, fetcher=RequestFetcher(Fetcher()))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one medium takes of the prompt: `tokens` in all, of which `image_tokens` stand for its `pictures`, the others for labels, speech
    and marks. It stands in `messages[message].content[part]`.
    """

    message: int
    part: int
    name: str
    what: str
    pictures: int
    image_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Messages with all pictures cut and labelled, ready for `Processor.prompt`; what was looked at, in the order of the prompt; its costs.

    `question` is the last thing the user said. Close it when its answer has been looked up.
    """

    messages: tuple[Message, ...]
    question: str
    sight: Sight
    costs: tuple[Cost, ...]
    prompt_tokens: int
    context: int
    opened: tuple[Medium, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the media that were opened for it."""
        for medium in self.opened:
            medium.close()

    def account(self) -> dict[str, Any]:
        """All of it as JSON values. Sizes are [width, height], before in pixels (of a page in points), shown in pixels."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "image_tokens": sum(cost.image_tokens for cost in self.costs),
            "context": self.context,
            "media_tokens": self.sight.tokens,
            "views": [
                {
                    "file": view.name,
                    "label": view.label,
                    "page": view.page,
                    "seconds": view.seconds,
                    "size_before": list(view.size_before),
                    "size": list(view.size),
                    "tokens": view.cut.tokens,
                    "note": view.shrunk or None,
                }
                for view in self.sight.views
            ],
            "looked_at": [
                {
                    "file": looked.name,
                    "kind": looked.what,
                    "pages": list(looked.pages),
                    "of": looked.of,
                    "notes": list(looked.notes),
                    "details": list(looked.details),
                    "speech_lines": len(looked.speech),
                    "speech_tokens": looked.speech_tokens,
                    "message": cost.message,
                    "part": cost.part,
                    "pictures": cost.pictures,
                    "image_tokens": cost.image_tokens,
                    "tokens": cost.tokens,
                }
                for looked, cost in zip(self.sight.looked, self.costs, strict=True)
            ],
        }


def see_messages(
    processor: Processor,
    context: int,
    messages: Messages,
    *,
    thinking: Thinking = "auto",
    access: Access | None = None,
    password: str | None = None,
    arrived: Arrived | None = None,
    **choice: Any,
) -> Seen:
    """Look at all media of OpenAI-style `messages` (`chat.normalise` says which parts there are), in whichever turn they stand.

    context: tokens that the checkpoint can take; `access`: what may be opened, by default what a caller from Python may; `password` is
    for PDFs; `choice` as in `processor.views.Choice`; `arrived` as for `views.look`. The tokens for
    clips and documents are shared by those of all turns. Which pages of a long document are looked at follows the words beside it, so that
    a conversation that goes on keeps them.
    Raises: InputError for malformed messages, before anything is opened, and where there is no room; MediaError, naming
    messages[i].content[j].
    """
    chosen, access = choice_of(choice), access or Access.of_caller()
    turns = normalise(messages)
    slots = [(i, j) for i, turn in enumerate(turns) for j, part in enumerate(turn.parts) if not isinstance(part, TextPart)]
    prefix = PREFIXES.get(thinking, "")
    used = processor.length([replace(turn, parts=tuple(_texts(turn))) for turn in turns], prefix)
    media, opened = _open(turns, slots, access, password)
    try:
        questions = [_question(turns, i) for i, _ in slots]
        sight = look(questions, media, processor, context=context, used=used, choice=chosen, arrived=arrived)
        seen = tuple(_seen(turns, slots, sight))
        return Seen(
            messages=seen,
            question=_question(turns, max((i for i, turn in enumerate(turns) if turn.role == "user"), default=0)),
            sight=sight,
            costs=tuple(_costs(slots, sight, processor)),
            prompt_tokens=processor.length(seen, prefix),
            context=context,
            opened=tuple(opened),
        )
    except BaseException:
        for medium in opened:
            medium.close()
        raise


def _texts(turn: Message) -> Iterator[TextPart]:
    return (part for part in turn.parts if isinstance(part, TextPart))


def _question(turns: Sequence[Message], number: int) -> str:
    """What is asked about a medium: the text of its message, or where there is none, of the next one of the user's that has one."""
    for turn in turns[number:]:
        text = "\n".join(part.text for part in _texts(turn)).strip()
        if text and turn.role == "user":
            return text
    return ""


def _seen(turns: Sequence[Message], slots: Sequence[Slot], sight: Sight) -> Iterator[Message]:
    """The messages with what is seen of each medium in its place."""
    numbers = {slot: k for k, slot in enumerate(slots)}
    for i, turn in enumerate(turns):
        parts: list[TextPart | ImagePart | MediumPart] = []
        for j, part in enumerate(turn.parts):
            parts += sight.parts(numbers[i, j]) if (i, j) in numbers else [part]
        yield replace(turn, parts=tuple(parts))


def _costs(slots: Sequence[Slot], sight: Sight, processor: Processor) -> Iterator[Cost]:
    for k, ((i, j), looked) in enumerate(zip(slots, sight.looked, strict=True)):
        views = [view for view in sight.views if view.medium == k]
        image_tokens = sum(view.cut.tokens for view in views)
        yield Cost(i, j, looked.name, looked.what, len(views), image_tokens, rendered_length(sight.parts(k), processor.tokenizer))


# Opening ---------------------------------------------------------------------------------------------------------------------


def _open(turns: Sequence[Message], slots: Sequence[Slot], access: Access, password: str | None) -> tuple[list[Medium], list[Medium]]:
    """The media in the order of the slots, and those of them that were opened here."""
    budget = DecodedBudget(access.held_bytes)
    media: list[Medium] = []
    opened: list[Medium] = []
    try:
        for i, j in slots:
            part = turns[i].parts[j]
            assert isinstance(part, (ImagePart, MediumPart))
            try:
                medium = _image(part, access, budget) if isinstance(part, ImagePart) else _medium(part, access, budget, password)
            except MediaError as error:
                raise MediaError(f"messages[{i}].content[{j}]: {error}", error.code) from None
            media.append(medium)
            opened += [medium] if medium is not part.source else []
    except BaseException:
        for medium in opened:
            medium.close()
        raise
    return media, opened


def _image(part: ImagePart, access: Access, budget: DecodedBudget) -> Still:
    """One picture, the first one of a file that holds several."""
    source = part.source
    if isinstance(source, Cut):
        return Still("the picture", Image.fromarray(source.pixels()), source)
    if not isinstance(source, Image.Image):
        source = _permitted(source, access)
    image = load_image(source, limits=budget.within(), fetcher=access.fetcher)
    name = short(str(source)) if isinstance(source, (str, Path)) and str(source)[:5].lower() != "data:" else "the image"
    budget.spend(*image.size, name)
    return Still(name, image)


def _medium(part: MediumPart, access: Access, budget: DecodedBudget, password: str | None) -> Medium:
    source = part.source
    if isinstance(source, (str, Path)):
        source = _permitted(source, access)
    return open_medium(source, password=password, fetcher=access.fetcher, budget=budget, named=part.name)


def _permitted(source: str | Path | bytes, access: Access) -> str | Path | bytes:
    """`source`, or where only some folders may be read, the file that a path in them leads to. Raises: MediaError for another path."""
    is_address = isinstance(source, str) and (source[:5].lower() == "data:" or ((scheme := SCHEME.match(source)) is not None and scheme[2]))
    if access.paths is None or isinstance(source, bytes) or is_address:
        return source
    try:
        path = Path(source).resolve()
        inside = any(path.is_relative_to(Path(folder).resolve()) for folder in access.paths)
    except (OSError, ValueError, RuntimeError):  # a loop of links, a zero byte
        inside = False
    if not inside:
        where = f"lies in none of the folders that may be read ({', '.join(map(str, access.paths))})" if access.paths else "is a path"
        advice = "" if access.paths else ", and files of this machine are not read here; pass a data URL"
        raise MediaError(f"{short(str(source))} {where}{advice}", "url_not_allowed")
    return path


def content_of(question: str, media: Sequence[Medium]) -> list[Message | Mapping[str, Any]]:
    """The messages of one question about open media."""
    return [Message("user", (*(MediumPart(medium, None) for medium in media), TextPart(question)))]
