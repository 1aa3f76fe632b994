"""A request of Anthropic's clients as one to chat. Everything of a question, from limits to grammars, is chat's; what chat complains about
is told by its place in the request that came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from kimi_vl.server.anthropic.requests import (
    AssistantMessage,
    Base64Source,
    ContentSource,
    CountRequest,
    DocumentBlock,
    ImageBlock,
    MessagesRequest,
    NamedChoice,
    TextBlock,
    TextSource,
    ThinkingAdaptive,
    ThinkingBlock,
    ThinkingEnabled,
    Tool,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
    UserMessage,
)
from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.openai import requests as openai
from kimi_vl.server.openai.chat import EFFORTS
from kimi_vl.server.strict import said

SAME = ("model", "max_tokens", "temperature", "top_p", "top_k", "media")
WORDS = {"auto": "auto", "any": "required", "none": "none"}
NAMES = {"response_format.json_schema.schema": "output_config.format.schema", "stop": "stop_sequences"}


class Rewritten:
    """A request as one to chat, and where each of its parts stood."""

    def __init__(self, request: CountRequest) -> None:
        """Raises: ApiError 400."""
        self._messages: list[openai.AnyMessage] = []
        self._places: list[tuple[str, list[str]]] = []  # of each message, and of its parts
        if request.system is not None:
            self._add(openai.SystemMessage(role="system", content=_text(request.system)), "system")
        for k, message in enumerate(request.messages):
            self._take(message, f"messages[{k}]")
        try:
            self.chat = openai.ChatRequest(messages=self._messages, **_settings(request))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise invalid("invalid_value", first["msg"].removeprefix("Value error, "), self._renamed(said(first["loc"])) or None) from None

    def renamed(self, error: ApiError) -> ApiError:
        """An error of chat in our words."""
        param = None if error.param is None else self._renamed(error.param)
        return ApiError(error.status, error.code, error.message.replace(str(error.param), str(param)), param=param, headers=error.headers)

    def _add(self, message: openai.AnyMessage, place: str, parts: Sequence[str] = ()) -> None:
        self._messages.append(message)
        self._places.append((place, list(parts)))

    def _take(self, message: Any, place: str) -> None:
        if isinstance(message, AssistantMessage):
            self._add(_assistant(message), place)
        elif isinstance(message, UserMessage):
            self._take_user(message, place)
        else:
            self._add(openai.SystemMessage(role="system", content=_text(message.content)), place)

    def _take_user(self, message: UserMessage, place: str) -> None:
        """Results are messages of their own; what stands between them stays together."""
        if isinstance(message.content, str):
            self._add(openai.UserMessage(role="user", content=message.content), place)
            return
        parts: list[tuple[openai.Part, str]] = []
        for k, block in enumerate(message.content):
            where = f"{place}.content[{k}]"
            if not isinstance(block, ToolResultBlock):
                parts += [(part, where) for part in _parts(block)]
                continue
            self._take_parts(parts, place)
            parts = []
            inside = _result_parts(block, where)
            result = openai.ToolMessage(role="tool", content=[part for part, _ in inside], tool_call_id=block.tool_use_id)
            self._add(result, where, [at for _, at in inside])
        self._take_parts(parts, place)

    def _take_parts(self, parts: Sequence[tuple[openai.Part, str]], place: str) -> None:
        if parts:
            self._add(openai.UserMessage(role="user", content=[part for part, _ in parts]), place, [at for _, at in parts])

    def _renamed(self, param: str) -> str:
        if match := re.match(r"messages\[(\d+)\](?:\.content\[(\d+)\])?", param):
            place, parts = self._places[int(match[1])]
            if match[2] is not None and int(match[2]) < len(parts):
                place = parts[int(match[2])]
            return place + param[match.end() :].replace(".tool_call_id", ".tool_use_id")
        return NAMES.get(param, re.sub(r"(tools\[\d+\])\.function\.parameters", r"\1.input_schema", param))


def _settings(request: CountRequest) -> dict[str, Any]:
    """All that a chat request says beside its messages. A client that does not ask for thoughts gets none, as its documents promise."""
    settings = {name: value for name in SAME if (value := getattr(request, name, None)) is not None}
    thinking, config = request.thinking, request.output_config
    settings["thinking"] = "off"
    if isinstance(thinking, ThinkingEnabled):
        settings |= {"thinking": "on", "max_thinking_tokens": thinking.budget_tokens}
    elif isinstance(thinking, ThinkingAdaptive):
        settings["thinking"] = "auto"
        if config and config.effort:
            settings["max_thinking_tokens"] = EFFORTS.get(config.effort)  # of xhigh and max, as of high, without a limit
    if isinstance(request, MessagesRequest) and request.stop_sequences:
        settings["stop"] = request.stop_sequences
    if request.tools:
        settings["tools"] = [_tool(tool) for tool in request.tools]
    choice = request.tool_choice
    if isinstance(choice, NamedChoice):
        settings["tool_choice"] = openai.ChosenTool(type="function", function=openai.ChosenFunction(name=choice.name))
    elif choice is not None:
        settings["tool_choice"] = WORDS[choice.type]
    if getattr(choice, "disable_parallel_tool_use", None):
        settings["parallel_tool_calls"] = False
    if config and config.format:
        schema = openai.JsonSchema.model_validate({"name": "answer", "schema": config.format.schema_})
        settings["response_format"] = openai.SchemaFormat(type="json_schema", json_schema=schema)
    return settings


def _tool(tool: Tool) -> openai.Tool:
    examples = "".join(f"\nExample: {json.dumps(one, ensure_ascii=False)}" for one in tool.input_examples or ())
    description = ((tool.description or "") + examples)[:8192] or None
    return openai.Tool(type="function", function=openai.Function(name=tool.name, description=description, parameters=tool.input_schema))


def _assistant(message: AssistantMessage) -> openai.AssistantMessage:
    if isinstance(message.content, str):
        return openai.AssistantMessage(role="assistant", content=message.content)
    calls = [
        openai.ToolCall(id=block.id, function=openai.FunctionCall(name=block.name, arguments=json.dumps(block.input, ensure_ascii=False)))
        for block in message.content
        if isinstance(block, ToolUseBlock)
    ]
    thoughts = "".join(block.thinking for block in message.content if isinstance(block, ThinkingBlock))
    text = "".join(block.text for block in message.content if isinstance(block, TextBlock))
    return openai.AssistantMessage(role="assistant", content=text, reasoning_content=thoughts or None, tool_calls=calls or None)


def _result_parts(block: ToolResultBlock, where: str) -> list[tuple[openai.Part, str]]:
    """What a tool gave, each part with its place."""
    inside = [TextBlock(type="text", text=block.content)] if isinstance(block.content, str) else block.content or []
    told = [(part, f"{where}.content[{j}]") for j, one in enumerate(inside) for part in _parts(one)]
    if block.is_error:
        told.insert(0, (_text_part("Error: "), where))
    return told or [(_text_part(""), where)]


def _parts(block: TextBlock | ImageBlock | DocumentBlock) -> Iterable[openai.Part]:
    if isinstance(block, TextBlock):
        return [_text_part(block.text)]
    if isinstance(block, ImageBlock):
        return [_medium(block.source, None)]
    source, head = block.source, "".join(f"{text}\n" for text in (block.title, block.context) if text)
    if isinstance(source, TextSource):
        return [_text_part(f"{head}{source.data}\n")]
    if isinstance(source, ContentSource):
        blocks = [TextBlock(type="text", text=source.content)] if isinstance(source.content, str) else source.content
        return [*([_text_part(head)] if head else []), *(part for one in blocks for part in _parts(one))]
    about = [_text_part(f"{block.context}\n")] if block.context else []
    return [*about, _medium(source, block.title)]


def _medium(source: Any, title: str | None) -> openai.Part:
    if isinstance(source, UrlSource):  # what it is, is told by what is in it
        return openai.ImagePart(type="image_url", image_url=openai.Address(url=source.url))
    if isinstance(source, Base64Source):
        if source.media_type == "application/pdf":
            file = openai.FileSource(file_data=source.data, filename=title[:300] if title else None)
            return openai.FilePart(type="file", file=file)
        return openai.ImagePart(type="image_url", image_url=openai.Address(url=f"data:{source.media_type};base64,{source.data}"))
    return openai.FilePart(type="file", file=openai.FileSource(file_id=source.file_id))


def _text(content: str | Sequence[TextBlock]) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content)


def _text_part(text: str) -> openai.TextPart:
    return openai.TextPart(type="text", text=text)
