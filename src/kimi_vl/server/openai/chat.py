"""`/v1/chat/completions`: a conversation in, one or several answers out, whole or as they are written."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

import msgspec

from kimi_vl.engine import SamplingParams
from kimi_vl.errors import InputError
from kimi_vl.llm import Thinking
from kimi_vl.llm.async_kimi_vl import Question
from kimi_vl.processor.grammar import Grammar
from kimi_vl.server.endpoint import Endpoint
from kimi_vl.server.errors import as_api_error, invalid
from kimi_vl.server.openai.answers import Asked, Writing, events, found, sampling
from kimi_vl.server.openai.chunks import Chunk, ChunkChoice, Completion, Delta, WholeChoice, logprobs_out, usage_out
from kimi_vl.server.openai.content import Given, Seen, turns_of
from kimi_vl.server.openai.requests import ChatRequest, ObjectFormat, SchemaFormat
from kimi_vl.server.openai.tools import Toolbox
from kimi_vl.server.service import Service
from kimi_vl.server.stream import DONE, event

# What an effort allows a model to think (tokens). Both names of a word's meaning: `none` closes the thought before it begins.
EFFORTS: dict[str, int | None] = {"none": 0, "minimal": 128, "low": 1024, "medium": 8192, "high": None}


async def ask(service: Service, request: ChatRequest, tenant: str, started: float, priority: int = 0) -> Asked[ChatRequest]:
    """Everything that can be refused is, before the model is asked. Raises: ApiError."""
    service.check_model(request.model)
    params, thinking = _params(request, service)
    toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls)
    turns = turns_of(request.messages, toolbox, service.options)
    grammar = await _grammar(request, toolbox, service)
    # What nobody waits for is not encoded before its turn.
    early = service.model.early(tenant) if priority <= 0 else None

    def read() -> tuple[Seen, Question]:
        seen = service.seeing.see(turns, tenant, request.media, thinking, None if early is None else early.take)
        try:
            question = service.model.question(seen.messages, thinking=thinking, tenant=tenant, early=early)
            service.check_context(question, request.max_completion_tokens or request.max_tokens)
            return seen, question
        except BaseException:
            seen.close()
            raise

    try:
        if any(isinstance(part, Given) for turn in turns for part in turn.parts):
            seen, question = await service.with_media(read)
        else:
            seen, question = await service.with_text(read)
    except BaseException as error:  # the client may have left: nothing more is decoded for it
        if early is not None:
            early.close()
        if isinstance(error, InputError):
            raise as_api_error(error, "messages") from None
        raise
    return Asked(request, params, replace(question, priority=priority), started, request.n or 1, seen, grammar, toolbox, early=early)


def _params(request: ChatRequest, service: Service) -> tuple[SamplingParams, Thinking]:
    given = {}
    if (most := request.max_completion_tokens or request.max_tokens) is not None:
        given["max_tokens"] = most
    if request.logprobs:
        given["logprobs"] = request.top_logprobs or 0
    thinking: Thinking = request.thinking or "auto"
    budget = request.max_thinking_tokens
    if request.reasoning_effort is not None:
        thinking = "off" if request.reasoning_effort == "none" else "on" if service.model.thinks else "auto"
        budget = EFFORTS[request.reasoning_effort] if budget is None else budget
    if budget is not None:
        given["max_thinking_tokens"] = budget
    return sampling(request, service, **given), thinking


async def _grammar(request: ChatRequest, toolbox: Toolbox | None, service: Service) -> Grammar | None:
    """What the answer must look like; compiled in a thread, for up to a second or two."""
    form = request.response_format
    if toolbox is not None:
        if isinstance(form, (ObjectFormat, SchemaFormat)):
            raise invalid(
                "invalid_value", "an answer cannot both be able to call tools and have a format; set tool_choice to none", "response_format"
            )
        return await asyncio.to_thread(toolbox.grammar, service.options.tool_schema_bytes)
    if isinstance(form, ObjectFormat):
        return await asyncio.to_thread(Grammar.json_object)
    if isinstance(form, SchemaFormat):
        try:
            return await asyncio.to_thread(Grammar.json_schema, form.json_schema.schema_)
        except InputError as error:
            code = "schema_too_complex" if "too complex" in str(error) or "at most" in str(error) else "invalid_json_schema"
            raise invalid(code, str(error), "response_format.json_schema.schema") from None
    return None


async def whole(service: Service, asked: Asked[ChatRequest]) -> bytes:
    """All answers at once, as JSON. Raises: ApiError, KimiVLError."""
    writings: list[Writing] = []
    async for _ in events(service, asked, writings):
        pass
    places = [await found(asked, writing) for writing in writings]
    choices = []
    for k, (writing, place) in enumerate(zip(writings, places, strict=True)):
        told = logprobs_out(tuple(writing.logprobs), service.model.processor.tokenizer) if asked.request.logprobs else None
        choices.append(WholeChoice(k, writing.message(), writing.ending, told, place))
    usage = usage_out([writing.answer.usage for writing in writings], writings[0].answer.cached_tokens)
    return msgspec.json.encode(Completion(new_id(), int(time.time()), service.name, choices, usage))


async def chunks(service: Service, asked: Asked[ChatRequest]) -> AsyncGenerator[bytes]:
    """Events as answers are written. Raises: ApiError, KimiVLError."""
    options = asked.request.stream_options
    with_usage = bool(options and options.include_usage)
    writings: list[Writing] = []
    number, created = new_id(), int(time.time())

    def chunk(choices: list[ChunkChoice]) -> bytes:
        made = Chunk(number, created, service.name, choices)
        if with_usage:
            made.usage = None
        return event(msgspec.json.encode(made))

    begun: set[int] = set()
    async for index, delta, told in events(service, asked, writings):
        if index not in begun:
            begun.add(index)
            yield chunk([ChunkChoice(index, Delta(role="assistant", content=""))])
        if delta is not None or told:
            logprobs = logprobs_out(told, service.model.processor.tokenizer) if told else None
            yield chunk([ChunkChoice(index, delta or Delta(), logprobs=logprobs)])
        else:
            place = await found(asked, writings[index])
            yield chunk([ChunkChoice(index, Delta(), writings[index].ending, kimi_vl=place)])
    if with_usage:
        made = Chunk(number, created, service.name, [])
        made.usage = usage_out([writing.answer.usage for writing in writings], writings[0].answer.cached_tokens)
        yield event(msgspec.json.encode(made))
    yield DONE


def new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(16)}"


CHAT = Endpoint(ChatRequest, ask, whole, chunks)
