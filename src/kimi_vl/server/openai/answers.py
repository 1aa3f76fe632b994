"""The answers to one question while they are written, in a client's terms: what every route that answers has in common."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from kimi_vl.engine import Logprobs, SamplingParams
from kimi_vl.errors import CapacityError, InputError
from kimi_vl.llm.async_kimi_vl import Answering, Question, Said
from kimi_vl.llm.early import Early
from kimi_vl.processor.grammar import Grammar
from kimi_vl.server.errors import ApiError, as_api_error, invalid
from kimi_vl.server.openai.chunks import CalledFunction, Delta, Finish, Found, MessageOut, ToolCallOut
from kimi_vl.server.openai.content import Seen
from kimi_vl.server.openai.requests import Sampled
from kimi_vl.server.openai.tools import Call, CallReader, Toolbox
from kimi_vl.server.service import Service
from kimi_vl.server.tracing import Parts, current

SAMPLED = ("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty")

NO_MEDIA = Seen(())

Bit = TypeVar("Bit")
Request = TypeVar("Request")


@dataclass(frozen=True, eq=False)
class Asked(Generic[Request]):
    """A request that has been checked and read, ready to be submitted. `place` is the parameter that holds the prompt."""

    request: Request
    params: SamplingParams
    question: Question
    started: float
    n: int = 1
    seen: Seen = NO_MEDIA
    grammar: Grammar | None = None
    toolbox: Toolbox | None = None
    place: str = "messages"
    early: Early | None = None

    def close(self) -> None:
        """Close the media, and let go of what was made of them."""
        self.seen.close()
        if self.early is not None:
            self.early.close()


def sampling(request: Sampled, service: Service, **given: Any) -> SamplingParams:
    """The model's own settings, those of a request, and those `given` in the engine's terms. Raises: ApiError 400."""
    given |= {name: value for name in SAMPLED if (value := getattr(request, name)) is not None}
    if request.stop:
        given["stop"] = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop)
    if request.logit_bias:
        given["logit_bias"] = tuple((int(token), float(value)) for token, value in request.logit_bias.items())
    try:
        params = replace(service.model.defaults, **given)
        params.check_bias(service.model.processor.tokenizer.vocab_size)
    except InputError as error:
        raise as_api_error(error, str(error).split(" ", 1)[0]) from None
    return params


@dataclass
class Writing:
    """One answer as it is told to the client."""

    answer: Answering
    calls: CallReader | None
    thinking: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    tool_calls: list[ToolCallOut] = field(default_factory=list)
    logprobs: list[Logprobs] = field(default_factory=list)
    latest: float | None = None  # when something came last
    is_over: bool = False

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


async def events(
    service: Service, asked: Asked[Any], writings: list[Writing]
) -> AsyncIterator[tuple[int, Delta | None, tuple[Logprobs, ...]]]:
    """(answer, what is new of it, log-probabilities), and (answer, None, ()) once for each that is over."""
    must = asked.toolbox is not None and asked.toolbox.must
    searches = None if asked.toolbox is None else not must
    async with AsyncExitStack() as stack:
        parts = stack.enter_context(service.tracing.parts("queue"))
        try:
            stack.callback(service.metrics.tokens.labels("prompt").inc, len(asked.question.input_ids))
            async with asyncio.timeout(None if asked.question.priority else service.options.request_s):
                answers = await stack.enter_async_context(
                    service.answers(asked.question, asked.params, parts, n=asked.n, grammar=asked.grammar, searches_stops=searches)
                )
                for answer in answers:
                    calls = None if asked.toolbox is None else CallReader(asked.toolbox.names)
                    writings.append(Writing(answer, calls))
                async for said in _merged(service, asked, writings, parts):
                    yield said
        except TimeoutError:
            raise ApiError(503, "request_timeout", f"the answer took longer than {service.options.request_s:g} seconds") from None
        except CapacityError as error:
            raise invalid("context_length_exceeded", str(error), asked.place) if not writings else error from None
        finally:
            _count(service, writings)


async def _merged(
    service: Service, asked: Asked[Any], writings: list[Writing], parts: Parts
) -> AsyncIterator[tuple[int, Delta | None, tuple[Logprobs, ...]]]:
    async for index, said in together([writing.answer for writing in writings]):
        writing = writings[index]
        told: tuple[Logprobs, ...] = ()
        if said is None:
            deltas, writing.is_over = writing.finish(), True
        else:
            parts.next("generation")
            deltas, told = writing.take(said), said.logprobs
            if asked.question.priority <= 0:  # somebody waits for it
                _time(service, asked, writing)
        for k, delta in enumerate(deltas):
            yield index, delta, told if k == len(deltas) - 1 else ()
        if told and not deltas:
            yield index, Delta(), told
        if said is None:
            yield index, None, ()


def _time(service: Service, asked: Asked[Any], writing: Writing) -> None:
    now = time.monotonic()
    if writing.latest is None:
        service.metrics.first_token.observe(now - asked.started)
    else:
        service.metrics.between_tokens.observe(now - writing.latest)
    writing.latest = now


async def together(streams: Sequence[AsyncIterable[Bit]]) -> AsyncIterator[tuple[int, Bit | None]]:
    """The bits of several streams as they come; None for each that is over. Raises: what ends one of them."""
    if len(streams) == 1:
        async for said in streams[0]:
            yield 0, said
        yield 0, None
        return
    coming: asyncio.Queue[tuple[int, Bit | Exception | None]] = asyncio.Queue()

    async def take(index: int, stream: AsyncIterable[Bit]) -> None:
        try:
            async for said in stream:
                coming.put_nowait((index, said))
            coming.put_nowait((index, None))
        except Exception as error:  # noqa: BLE001 - raised where the streams are read
            coming.put_nowait((index, error))

    tasks = [asyncio.ensure_future(take(index, stream)) for index, stream in enumerate(streams)]
    try:
        left = len(streams)
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


async def found(asked: Asked[Any], writing: Writing) -> Found:
    """What the answer points at, looked up in a thread where there are media."""
    if asked.seen.sight is None:
        return Found([], [], [], [])
    return await asyncio.to_thread(asked.seen.found, writing.whole_text)


def _count(service: Service, writings: Sequence[Writing]) -> None:
    for k, writing in enumerate(writings):
        usage = writing.answer.usage
        service.metrics.answers.labels(writing.answer.finish_reason).inc()
        service.metrics.tokens.labels("thinking").inc(usage.thinking_tokens)
        service.metrics.tokens.labels("answer").inc(usage.answer_tokens)
        if k == 0:
            service.metrics.tokens.labels("image").inc(usage.image_tokens)
            service.metrics.tokens.labels("cached").inc(writing.answer.cached_tokens)
    if writings and (traced := current()) is not None:
        endings = [writing.ending for writing in writings if writing.is_over]
        traced.count([writing.answer.usage for writing in writings], writings[0].answer.cached_tokens, endings)
