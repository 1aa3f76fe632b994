"""`/v1/messages` and `/v1/messages/count_tokens`: a conversation in Anthropic's words, answered by the path of chat."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kimi_vl.server.anthropic.blocks import Blocks
from kimi_vl.server.anthropic.errors import MANNER
from kimi_vl.server.anthropic.requests import CountRequest, MessagesRequest
from kimi_vl.server.anthropic.rewriting import Rewritten
from kimi_vl.server.endpoint import Endpoint
from kimi_vl.server.errors import ApiError
from kimi_vl.server.openai import chat
from kimi_vl.server.openai.answers import Asked, Writing, events, found
from kimi_vl.server.openai.requests import ChatRequest, TokenizeRequest
from kimi_vl.server.openai.tokenize import count
from kimi_vl.server.service import Service
from kimi_vl.server.stream import event

PING = {"type": "ping"}


@dataclass(eq=False)
class Message:
    """A message that is being written."""

    request: MessagesRequest
    rewritten: Rewritten
    asked: Asked[ChatRequest]
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    def close(self) -> None:
        """Close the media."""
        self.asked.close()

    def described(self, service: Service, **fields: Any) -> dict[str, Any]:
        """As Anthropic's object."""
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
        return {"id": self.id, "type": "message", "role": "assistant", "model": service.name, **empty, **fields}


async def ask(service: Service, request: MessagesRequest, tenant: str, started: float, priority: int = 0) -> Message:
    """Raises: ApiError, in the words of messages."""
    rewritten = Rewritten(request)
    try:
        return Message(request, rewritten, await chat.ask(service, rewritten.chat, tenant, started, priority))
    except ApiError as error:
        raise rewritten.renamed(error) from None


async def whole(service: Service, message: Message) -> bytes:
    """The message, as JSON. Raises: ApiError, KimiVLError."""
    blocks, writings = _blocks(message), list[Writing]()
    async for _ in _told(service, message, blocks, writings):
        pass
    [writing] = writings
    ending = _ending(service, writing)
    place = await found(message.asked, writing)
    return msgspec.json.encode(message.described(service, content=blocks.blocks, **ending, usage=_usage(writing), kimi_vl=place))


async def told(service: Service, message: Message) -> AsyncGenerator[bytes]:
    """Events as it is written. Raises: ApiError, KimiVLError."""
    blocks, writings = _blocks(message), list[Writing]()
    async for one in _told(service, message, blocks, writings):
        yield _encoded(one)
    [writing] = writings
    place = await found(message.asked, writing)
    yield _encoded({"type": "message_delta", "delta": _ending(service, writing), "usage": _usage(writing), "kimi_vl": place})
    yield _encoded({"type": "message_stop"})


async def count_tokens(service: Service, request: CountRequest, tenant: str) -> dict[str, int]:
    """Raises: ApiError, KimiVLError."""
    service.check_model(request.model)
    rewritten = Rewritten(request)
    asked = rewritten.chat
    prompt = TokenizeRequest(
        messages=asked.messages,
        thinking=asked.thinking,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        parallel_tool_calls=asked.parallel_tool_calls,
        media=asked.media,
    )
    try:
        counted = await service.with_media(lambda: count(service, prompt, tenant))
    except ApiError as error:
        raise rewritten.renamed(error) from None
    return {"input_tokens": counted.count}


async def _told(service: Service, message: Message, blocks: Blocks, writings: list[Writing]) -> AsyncGenerator[dict[str, Any]]:
    """All events but the last two."""
    has_begun = False
    try:
        async for _, delta, _ in events(service, message.asked, writings):
            if not has_begun:
                has_begun = True
                yield {"type": "message_start", "message": message.described(service, usage=_usage(writings[0], output=0))}
                yield PING
            for one in blocks.take(delta):
                yield one
        for one in blocks.finish():
            yield one
    except ApiError as error:
        raise message.rewritten.renamed(error) from None


def _blocks(message: Message) -> Blocks:
    return Blocks(shows_thinking=getattr(message.request.thinking, "display", None) != "omitted")


def _ending(service: Service, writing: Writing) -> dict[str, str | None]:
    usage, stop = writing.answer.usage, writing.answer.stop_string
    if writing.ending == "tool_calls":
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if writing.ending == "length":
        is_full = usage.prompt_tokens + usage.completion_tokens >= service.model.context
        return {"stop_reason": "model_context_window_exceeded" if is_full else "max_tokens", "stop_sequence": None}
    return {"stop_reason": "end_turn" if stop is None else "stop_sequence", "stop_sequence": stop}


def _usage(writing: Writing, output: int | None = None) -> dict[str, Any]:
    """What was in the cache is counted apart."""
    usage, cached = writing.answer.usage, writing.answer.cached_tokens
    return {
        "input_tokens": usage.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens if output is None else output,
        "output_tokens_details": {"thinking_tokens": usage.thinking_tokens if output is None else 0},
    }


def _encoded(one: dict[str, Any]) -> bytes:
    return event(msgspec.json.encode(one), one["type"])


MESSAGES = Endpoint(MessagesRequest, ask, whole, told, MANNER)
