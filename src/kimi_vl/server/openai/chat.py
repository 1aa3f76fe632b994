"""`/v1/chat/completions`: a conversation in, one or several answers out, whole or as they are written."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import msgspec

from kimi_vl.engine import Logprobs, SamplingParams
from kimi_vl.errors import CapacityError, InputError
from kimi_vl.llm import Thinking
from kimi_vl.llm.async_kimi_vl import Answering, Question, Said
from kimi_vl.processor.grammar import Grammar
from kimi_vl.server.errors import ApiError, as_api_error, invalid
from kimi_vl.server.openai.chunks import (
    CalledFunction,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    Finish,
    Found,
    MessageOut,
    ToolCallOut,
    WholeChoice,
    logprobs_out,
    usage_out,
)
from kimi_vl.server.openai.content import Given, Seen, turns_of
from kimi_vl.server.openai.requests import ChatRequest, ObjectFormat, SchemaFormat
from kimi_vl.server.openai.tools import Call, CallReader, Toolbox
from kimi_vl.server.service import Service
from kimi_vl.server.stream import DONE, event

# What an effort allows a model to think (tokens). Both names of a word's meaning: `none` closes the thought before it begins.
EFFORTS: dict[str, int | None] = {"none": 0, "minimal": 128, "low": 1024, "medium": 8192, "high": None}
SAMPLED = ("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty")


@dataclass(frozen=True, eq=False)
class Asked:
    """A request that has been checked and read, ready to be submitted."""

    request: ChatRequest
    params: SamplingParams
    question: Question
    seen: Seen
    grammar: Grammar | None
    toolbox: Toolbox | None
    started: float
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def n(self) -> int:
        return self.request.n or 1


async def ask(service: Service, request: ChatRequest, tenant: str, started: float) -> Asked:
    """Everything that can be refused is, before the model is asked. Raises: ApiError."""
    service.check_model(request.model)
    params, thinking = _params(request, service)
    toolbox = Toolbox.of(request.tools, request.tool_choice, request.parallel_tool_calls)
    turns = turns_of(request.messages, toolbox, service.options)
    grammar = await _grammar(request, toolbox, service)

    def read() -> tuple[Seen, Question]:
        seen = service.seeing.see(turns, tenant, request.media, thinking)
        try:
            return seen, service.model.question(seen.messages, thinking=thinking, tenant=tenant)
        except BaseException:
            seen.close()
            raise

    try:
        if any(isinstance(part, Given) for turn in turns for part in turn.parts):
            seen, question = await service.with_media(read)
        else:
            seen, question = await service.with_text(read)
    except InputError as error:
        raise as_api_error(error, "messages") from None
    asked = Asked(request, params, question, seen, grammar, toolbox, started)
    service.check_context(question, request.max_completion_tokens or request.max_tokens)
    return asked


def _params(request: ChatRequest, service: Service) -> tuple[SamplingParams, Thinking]:
    given = {name: value for name in SAMPLED if (value := getattr(request, name)) is not None}
    if (most := request.max_completion_tokens or request.max_tokens) is not None:
        given["max_tokens"] = most
    if request.stop:
        given["stop"] = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop)
    if request.logit_bias:
        given["logit_bias"] = tuple((int(token), float(value)) for token, value in request.logit_bias.items())
    if request.logprobs:
        given["logprobs"] = request.top_logprobs or 0
    thinking: Thinking = request.thinking or "auto"
    budget = request.max_thinking_tokens
    if request.reasoning_effort is not None:
        thinking = "off" if request.reasoning_effort == "none" else "on" if service.model.thinks else "auto"
        budget = EFFORTS[request.reasoning_effort] if budget is None else budget
    if budget is not None:
        given["max_thinking_tokens"] = budget
    try:
        params = replace(service.model.defaults, **given)
        params.check_bias(service.model.processor.tokenizer.vocab_size)
    except InputError as error:
        raise as_api_error(error, str(error).split(" ", 1)[0]) from None
    return params, thinking


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


@dataclass
class _Writing:
    """One answer as it is told to the client."""

    answer: Answering
    calls: CallReader | None
    thinking: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    tool_calls: list[ToolCallOut] = field(default_factory=list)
    logprobs: list[Logprobs] = field(default_factory=list)
    latest: float | None = None  # when something came last

    def take(self, said: Said) -> list[Delta]:
        """What is new, in the client's terms."""
        self.logprobs += said.logprobs
        if said.kind == "thinking":
            self.thinking.append(said.text)
            return [Delta(reasoning_content=said.text, reasoning=said.text)]
        if not said.text:
            return []
        return self._text([said.text] if self.calls is None else list(self.calls.feed(said.text)))

    def finish(self) -> list[Delta]:
        """What was held back."""
        return [] if self.calls is None else self._text(list(self.calls.finish()))

    @property
    def ending(self) -> Finish:
        if self.tool_calls and not (self.calls and self.calls.unfinished) and self.answer.finish_reason == "stop":
            return "tool_calls"
        return self.answer.finish_reason

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    def message(self) -> MessageOut:
        thinking = "".join(self.thinking) or None
        message = MessageOut(self.whole_text or (None if self.tool_calls else ""))
        if thinking is not None:
            message.reasoning_content = message.reasoning = thinking
        if self.tool_calls:
            message.tool_calls = self.tool_calls
        return message

    def _text(self, parts: Sequence[str | Call]) -> list[Delta]:
        deltas = []
        for part in parts:
            if isinstance(part, str):
                self.text.append(part)
                deltas.append(Delta(content=part))
            elif part.name is not None:
                call = ToolCallOut(id=f"call_{secrets.token_hex(12)}", type="function", function=CalledFunction(part.name, ""))
                self.tool_calls.append(call)
                first = ToolCallOut(part.number, call.id, "function", CalledFunction(part.name, ""))  # the other one goes on growing
                deltas.append(Delta(tool_calls=[first]))
            else:
                function = self.tool_calls[part.number].function
                assert function is not None
                function.arguments = (function.arguments or "") + part.arguments
                deltas.append(Delta(tool_calls=[ToolCallOut(index=part.number, function=CalledFunction(arguments=part.arguments))]))
        return deltas


async def whole(service: Service, asked: Asked) -> bytes:
    """All answers at once, as JSON. Raises: ApiError, KimiVLError."""
    writings: list[_Writing] = []
    async for _ in _events(service, asked, writings):
        pass
    founds = [await _found(asked, writing) for writing in writings]
    choices = []
    for k, (writing, found) in enumerate(zip(writings, founds, strict=True)):
        told = logprobs_out(tuple(writing.logprobs), service.model.processor.tokenizer) if asked.request.logprobs else None
        choices.append(WholeChoice(k, writing.message(), writing.ending, told, found))
    usage = usage_out([writing.answer.usage for writing in writings], writings[0].answer.cached_tokens)
    return msgspec.json.encode(Completion(asked.id, asked.created, service.name, choices, usage))


async def chunks(service: Service, asked: Asked) -> AsyncGenerator[bytes]:
    """Events as answers are written. Raises: ApiError, KimiVLError."""
    options = asked.request.stream_options
    with_usage = bool(options and options.include_usage)
    writings: list[_Writing] = []

    def chunk(choices: list[ChunkChoice]) -> bytes:
        made = Chunk(asked.id, asked.created, service.name, choices)
        if with_usage:
            made.usage = None
        return event(msgspec.json.encode(made))

    begun: set[int] = set()
    async for index, delta, told in _events(service, asked, writings):
        if index not in begun:
            begun.add(index)
            yield chunk([ChunkChoice(index, Delta(role="assistant", content=""))])
        if delta is not None or told:
            logprobs = logprobs_out(told, service.model.processor.tokenizer) if told else None
            yield chunk([ChunkChoice(index, delta or Delta(), logprobs=logprobs)])
        else:
            found = await _found(asked, writings[index])
            yield chunk([ChunkChoice(index, Delta(), writings[index].ending, kimi_vl=found)])
    if with_usage:
        made = Chunk(asked.id, asked.created, service.name, [])
        made.usage = usage_out([writing.answer.usage for writing in writings], writings[0].answer.cached_tokens)
        yield event(msgspec.json.encode(made))
    yield DONE


async def _events(
    service: Service, asked: Asked, writings: list[_Writing]
) -> AsyncIterator[tuple[int, Delta | None, tuple[Logprobs, ...]]]:
    """(answer, what is new of it, log-probabilities), and (answer, None, ()) once for each that is over."""
    must = asked.toolbox is not None and asked.toolbox.must
    searches = None if asked.toolbox is None else not must
    async with AsyncExitStack() as stack:
        try:
            stack.callback(service.metrics.tokens.labels("prompt").inc, len(asked.question.input_ids))
            async with asyncio.timeout(service.options.request_s):
                answers = await stack.enter_async_context(
                    service.answers(asked.question, asked.params, n=asked.n, grammar=asked.grammar, searches_stops=searches)
                )
                for answer in answers:
                    calls = None if asked.toolbox is None else CallReader(asked.toolbox.names)
                    writings.append(_Writing(answer, calls))
                async for event in _merged(service, asked, writings):
                    yield event
        except TimeoutError:
            raise ApiError(503, "request_timeout", f"the answer took longer than {service.options.request_s:g} seconds") from None
        except CapacityError as error:
            raise invalid("context_length_exceeded", str(error), "messages") if not writings else error from None
        finally:
            _count(service, writings)


async def _merged(
    service: Service, asked: Asked, writings: list[_Writing]
) -> AsyncIterator[tuple[int, Delta | None, tuple[Logprobs, ...]]]:
    async for index, said in _together([writing.answer for writing in writings]):
        writing = writings[index]
        told: tuple[Logprobs, ...] = ()
        if said is None:
            deltas = writing.finish()
        else:
            deltas, told = writing.take(said), said.logprobs
            now = time.monotonic()
            if writing.latest is None:
                service.metrics.first_token.observe(now - asked.started)
            else:
                service.metrics.between_tokens.observe(now - writing.latest)
            writing.latest = now
        for k, delta in enumerate(deltas):
            yield index, delta, told if k == len(deltas) - 1 else ()
        if told and not deltas:
            yield index, Delta(), told
        if said is None:
            yield index, None, ()


async def _together(answers: Sequence[Answering]) -> AsyncIterator[tuple[int, Said | None]]:
    """The bits of several answers as they come; None for each that is over. Raises: what ends one of them."""
    if len(answers) == 1:
        async for said in answers[0]:
            yield 0, said
        yield 0, None
        return
    coming: asyncio.Queue[tuple[int, Said | Exception | None]] = asyncio.Queue()

    async def take(index: int, answer: Answering) -> None:
        try:
            async for said in answer:
                coming.put_nowait((index, said))
            coming.put_nowait((index, None))
        except Exception as error:  # noqa: BLE001 - raised where the answers are read
            coming.put_nowait((index, error))

    tasks = [asyncio.ensure_future(take(index, answer)) for index, answer in enumerate(answers)]
    try:
        left = len(answers)
        while left:
            index, came = await coming.get()
            if isinstance(came, Exception):
                raise came
            left -= came is None
            yield index, came
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _found(asked: Asked, writing: _Writing) -> Found:
    """What the answer points at, looked up in a thread where there are media."""
    if asked.seen.sight is None:
        return Found([], [], [], [])
    return await asyncio.to_thread(asked.seen.found, writing.whole_text)


def _count(service: Service, writings: Sequence[_Writing]) -> None:
    for k, writing in enumerate(writings):
        usage = writing.answer.usage
        service.metrics.answers.labels(writing.answer.finish_reason).inc()
        service.metrics.tokens.labels("thinking").inc(usage.thinking_tokens)
        service.metrics.tokens.labels("answer").inc(usage.answer_tokens)
        if k == 0:
            service.metrics.tokens.labels("image").inc(usage.image_tokens)
            service.metrics.tokens.labels("cached").inc(writing.answer.cached_tokens)
