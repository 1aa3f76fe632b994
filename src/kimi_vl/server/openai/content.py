"""Where the parts of a conversation become media: the one narrow place. Blocking; never called in the event loop's thread.

All media of a conversation are opened here, within one budget and by what a client may name, and looked at by `llm.see_messages`, as those
of `KimiVL.chat` are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kimi_vl.errors import InputError, KimiVLError
from kimi_vl.llm import Thinking, conversation
from kimi_vl.media import Medium, open_medium
from kimi_vl.media.budget import DecodedBudget
from kimi_vl.media.fetch import Fetcher, FetchPolicy, RequestFetcher
from kimi_vl.media.medium import Animation, Document, Scan, Still, Video
from kimi_vl.processor import Processor
from kimi_vl.processor.chat import DEFAULT_SYSTEM, MediumPart, Message, TextPart
from kimi_vl.processor.findings import Findings, find
from kimi_vl.processor.views import Arrived, Sight, View
from kimi_vl.server.errors import ApiError, as_api_error, clean, invalid
from kimi_vl.server.files import Files, shown_name
from kimi_vl.server.openai import requests
from kimi_vl.server.openai.chunks import CitationOut, Found, Place
from kimi_vl.server.openai.requests import AnyMessage, AssistantMessage, FilePart, Looking, MediaPart, ToolMessage, VideoPart
from kimi_vl.server.openai.tools import RESULT_CLOSE, RESULT_OPEN, Toolbox, written
from kimi_vl.server.options import ServerOptions

NOTHING = conversation.Access(paths=())  # media come open: whoever looks at them has nothing to open


@dataclass(frozen=True)
class Given:
    """A medium that a part names, and the part's place: messages[0].content[1]."""

    part: MediaPart
    param: str


@dataclass
class Turn:
    """A message in the form of the model's three roles, its media not opened yet."""

    role: str
    parts: list[str | Given] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Seen:
    """A conversation that is ready for the model. Close it when its answer has been looked up."""

    messages: Sequence[Message]
    question: str = ""
    sight: Sight | None = None
    names: tuple[str, ...] = ()

    def close(self) -> None:
        """Close the media."""
        if self.sight is not None:
            self.sight.close()

    def found(self, answer: str) -> Found:
        """What an answer points at. An answer is not lost over a file in which it cannot be looked up any more."""
        looked = [str(replace(one, name=name)) for one, name in zip(self.sight.looked, self.names, strict=True)] if self.sight else []
        nothing = Findings()
        try:
            findings = find(self.sight, self.question, answer) if self.sight else nothing
        except KimiVLError:
            findings = nothing
        return Found(
            [self._place(box.image_index, box.label, box=[box.left, box.top, box.right, box.bottom]) for box in findings.boxes],
            [self._place(point.image_index, point.label, point=[point.x, point.y]) for point in findings.points],
            [self._cited(citation) for citation in findings.citations],
            [text for text in looked if text],
        )

    def _place(self, number: int, label: str, **where: list[float]) -> Place:
        assert self.sight is not None
        view = self.sight.views[number]
        first = next(k for k, other in enumerate(self.sight.views) if other.medium == view.medium)
        scaled = {name: _in_units(values, view) for name, values in where.items()}
        return Place(label, view.medium, number - first, view.page, **scaled)

    def _cited(self, citation: Any) -> CitationOut:
        assert self.sight is not None
        documents = [k for k, medium in enumerate(self.sight.media) if isinstance(medium, Document)]
        named = [k for k in documents if self.sight.media[k].name == citation.document]
        medium = (named or documents)[0]
        view = next((v for v in self.sight.views if v.medium == medium and v.page == citation.page), None)
        box = _in_units(list(citation.box), view) if citation.box and view else None
        return CitationOut(citation.page, citation.text, box, citation.verified, medium)


@dataclass(frozen=True)
class Seeing:
    """Opens what requests name, and looks at it."""

    processor: Processor
    context: int
    options: ServerOptions
    files: Files

    def see(self, turns: Sequence[Turn], tenant: str, looking: Looking | None, thinking: Thinking, arrived: Arrived | None = None) -> Seen:
        """`arrived` as for `views.look`. Raises: ApiError naming the part, and what `arrived` raises."""
        given = [part for turn in turns for part in turn.parts if isinstance(part, Given)]
        if not given:
            if looking is not None:
                raise invalid("invalid_value", "media says how media are looked at, and there are none", "media")
            return Seen([_message(turn, {}) for turn in turns])
        names: list[str] = []
        opened: list[Medium] = []
        try:
            self._open(given, tenant, opened, names)
            media = {id(one): medium for one, medium in zip(given, opened, strict=True)}
            seen = self._look([_message(turn, media) for turn in turns], looking, thinking, arrived)
        except BaseException:
            for medium in opened:
                medium.close()
            raise
        return Seen(seen.messages, seen.question, seen.sight, tuple(names))

    def _open(self, given: Sequence[Given], tenant: str, opened: list[Medium], names: list[str]) -> None:
        budget = DecodedBudget(self.options.decoded_bytes)
        fetcher = self._fetcher()
        counts = {"videos": 0, "documents": 0}
        for one in given:
            source, name = self._source(one, tenant)
            try:
                medium = open_medium(source, fetcher=fetcher, budget=budget)
            except KimiVLError as error:
                told = as_api_error(error, one.param)
                message = told.message.replace(str(source), name) if isinstance(source, Path) else told.message
                raise ApiError(told.status, told.code, message, param=one.param) from None
            opened.append(medium)
            names.append(name or medium.name)
            kind = {"video": "videos", "document": "documents"}.get(kind_of(medium))
            if kind is not None:
                counts[kind] += 1
                if counts[kind] > getattr(self.options, kind):
                    raise invalid("too_many_media", f"a request may hold {getattr(self.options, kind)} {kind}", one.param)

    def _look(self, messages: Sequence[Message], looking: Looking | None, thinking: Thinking, arrived: Arrived | None) -> conversation.Seen:
        choice = looking.model_dump(exclude_none=True) if looking else {}
        try:
            return conversation.see_messages(
                self.processor, self.context, messages, thinking=thinking, access=NOTHING, arrived=arrived, **choice
            )
        except InputError as error:
            raise as_api_error(error, "media" if looking else "messages") from None

    def _fetcher(self) -> RequestFetcher | None:
        hosts = self.options.media_hosts
        if hosts is None and not self.options.is_private:
            return None
        return RequestFetcher(Fetcher(FetchPolicy(hosts=hosts)))

    def _source(self, one: Given, tenant: str) -> tuple[str | Path, str]:
        """What to open, and its name for people (empty: the medium's own)."""
        if isinstance(one.part, FilePart):
            source = one.part.file
            if source.file_id is not None:
                return self._uploaded(source.file_id, tenant, one.param)
            data = source.file_data or ""
            return data if data[:5].lower() == "data:" else f"data:;base64,{data}", shown_name(source.filename or "the file")
        url = one.part.video_url.url if isinstance(one.part, VideoPart) else one.part.image_url.url
        if url[:5].lower() == "data:":
            return url, "the video" if isinstance(one.part, VideoPart) else "the image"
        if url.startswith("file-"):
            return self._uploaded(url, tenant, one.param)
        if url[:5].lower() in ("http:", "https"):
            return url, clean(url[:200])
        return self._local(url, one.param)

    def _uploaded(self, file_id: str, tenant: str, param: str) -> tuple[Path, str]:
        file = self.files.find(tenant, file_id, param)
        return self.files.path(tenant, file.id), file.filename

    def _local(self, url: str, param: str) -> tuple[Path, str]:
        """A file in one of the folders that are allowed, wherever links lead."""
        refused = invalid("url_not_allowed", "only data: and https: addresses, uploaded files and files in allowed folders are read", param)
        if url[:5].lower() == "file:":
            parts = urlsplit(url)
            if parts.netloc not in ("", "localhost"):
                raise refused
            url = unquote(parts.path)
        if not self.options.media_folders or not url.startswith("/") or "\0" in url or len(url) > 4096:
            raise refused
        path = Path(os.path.realpath(url))
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in self.options.media_folders):
            raise refused
        return path, path.name


def kind_of(medium: Medium) -> str:
    """image, animation, video or document."""
    names: dict[type, str] = {Still: "image", Animation: "animation", Video: "video", Document: "document", Scan: "document"}
    return names.get(type(medium), "video")


def turns_of(messages: Sequence[AnyMessage], toolbox: Toolbox | None, options: ServerOptions) -> list[Turn]:
    """Messages in the model's three roles: tools told, calls written out, results in the user's turn. Nothing is opened.

    Raises: ApiError for results of calls that nobody made, and for too many media.
    """
    turns: list[Turn] = []
    calls: dict[str, str] = {}
    for k, message in enumerate(messages):
        where = f"messages[{k}]"
        if isinstance(message, ToolMessage):
            _add_result(turns, message, calls, where)
        elif isinstance(message, AssistantMessage):
            made = message.tool_calls or []
            calls |= {call.id: call.function.name for call in made}
            said = "".join(part for part in _parts(message.content, where) if isinstance(part, str))
            turns.append(Turn("assistant", [said + ("\n" if said and made else "") + written([call.function for call in made])]))
        else:
            turns.append(Turn("user" if message.role == "user" else "system", _parts(message.content, where)))
    if toolbox is not None:
        if turns[0].role != "system":
            turns.insert(0, Turn("system", [DEFAULT_SYSTEM]))
        turns[0] = Turn("system", [*turns[0].parts, toolbox.instructions()])
    given = [part for turn in turns for part in turn.parts if isinstance(part, Given)]
    if len(given) > options.images:
        raise invalid("too_many_media", f"a request may hold {options.images} pictures, videos and documents", given[options.images].param)
    return turns


def _add_result(turns: list[Turn], message: ToolMessage, calls: dict[str, str], where: str) -> None:
    name = calls.pop(message.tool_call_id, None)
    if name is None:
        raise invalid(
            "invalid_tool_call", f"{where} answers a call that no message before it makes, or that is answered", f"{where}.tool_call_id"
        )
    if not turns or turns[-1].role != "user" or turns[-1].parts[-1:] != [RESULT_CLOSE]:
        turns.append(Turn("user"))
    turns[-1].parts += [f"{RESULT_OPEN}{name}: ", *_parts(message.content, where), RESULT_CLOSE]


def _parts(content: Any, where: str) -> list[str | Given]:
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    return [part.text if isinstance(part, requests.TextPart) else Given(part, f"{where}.content[{j}]") for j, part in enumerate(content)]


def _message(turn: Turn, media: Mapping[int, Medium]) -> Message:
    """With open media in their places; texts side by side are one."""
    parts: list[TextPart | MediumPart] = []
    for part in turn.parts:
        if isinstance(part, Given):
            parts.append(MediumPart(media[id(part)], None))
        elif parts and isinstance(parts[-1], TextPart):
            parts[-1] = TextPart(parts[-1].text + part)
        elif part:
            parts.append(TextPart(part))
    return Message(turn.role, tuple(parts))


def _in_units(values: list[float], view: View) -> list[float]:
    """Shares of a page as its points; pixels as they are."""
    if view.page is None:
        return [float(value) for value in values]
    return [value * view.size_before[k % 2] for k, value in enumerate(values)]
