"""`/v1/completions`: plain text, or its tokens, is gone on with; there are no roles, no media and no thinking.

A text is encoded like everything that users write: no spelling of a control token becomes one. Ids of control tokens are refused. An echoed
prompt's tokens have log-probabilities as an answer's have; with `max_tokens` 0 they are all there is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from kimi_vl.engine import Logprobs
from kimi_vl.errors import InputError
from kimi_vl.llm.async_kimi_vl import Question
from kimi_vl.processor import Tokenizer
from kimi_vl.server.endpoint import Endpoint
from kimi_vl.server.errors import as_api_error, invalid
from kimi_vl.server.openai.answers import Asked, Writing, events, sampling, together
from kimi_vl.server.openai.chunks import LEAST_LOGPROB, Delta, Finish, UsageOut, usage_out
from kimi_vl.server.openai.requests import CompletionRequest
from kimi_vl.server.service import Service
from kimi_vl.server.stream import DONE, event

MAX_TOKENS = 16  # where the request does not say; OpenAI's number


class TextLogprobs(msgspec.Struct):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]  # characters


class TextChoice(msgspec.Struct):
    index: int
    text: str
    finish_reason: Finish | None
    logprobs: TextLogprobs | None = None


class TextCompletion(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageOut | msgspec.UnsetType | None = msgspec.UNSET
    object: str = "text_completion"
    system_fingerprint: str | None = None


@dataclass(frozen=True, eq=False)
class Prompts:
    """A request of one or several prompts. Choice k of prompt j is number j n + k; `echoed` is what stands before each prompt's answers."""

    request: CompletionRequest
    asked: list[Asked[CompletionRequest]]
    echoed: list[str]

    @property
    def n(self) -> int:
        return self.request.n or 1

    @property
    def is_silent(self) -> bool:
        """Whether nothing is told of the answers. One token is drawn all the same: it costs nothing beside the prompt."""
        return self.request.max_tokens == 0

    def close(self) -> None:
        """There is nothing to close."""


async def ask(service: Service, request: CompletionRequest, tenant: str, started: float, priority: int) -> Prompts:
    """Raises: ApiError naming the prompt."""
    service.check_model(request.model)
    if request.max_tokens == 0 and not request.echo:
        raise invalid("invalid_value", "max_tokens is 0, which leaves nothing to answer but an echo; set echo, or at least 1", "max_tokens")
    given = {"max_tokens": MAX_TOKENS if request.max_tokens is None else max(1, request.max_tokens)}
    if request.logprobs is not None:
        given["logprobs"] = request.logprobs
        if request.echo:
            given["prompt_logprobs"] = request.logprobs
    params, tokenizer = sampling(request, service, **given), service.model.processor.tokenizer
    prompts = _prompts(request)
    if len(prompts) * (request.n or 1) > service.options.prompts:
        raise invalid("invalid_value", f"a request may ask for {service.options.prompts} answers in all", "prompt")

    def read() -> list[Question]:
        questions = []
        for prompt, place in prompts:
            question = Question(_ids(prompt, tokenizer, place), None, 0, "off", tenant, priority, verbatim=True)
            service.check_context(question, request.max_tokens, place)
            questions.append(question)
        return questions

    questions = await service.with_text(read)
    asked = [Asked(request, params, one, started, request.n or 1, place=place) for one, (_, place) in zip(questions, prompts, strict=True)]
    return Prompts(request, asked, [tokenizer.decode(one.input_ids) if request.echo else "" for one in questions])


def _prompts(request: CompletionRequest) -> list[tuple[str | list[int], str]]:
    """Each prompt and its place."""
    prompt = request.prompt
    if isinstance(prompt, list) and not isinstance(prompt[0], int):
        return [(one, f"prompt[{k}]") for k, one in enumerate(prompt)]  # type: ignore[misc]
    return [(prompt, "prompt")]


def _ids(prompt: str | list[int], tokenizer: Tokenizer, place: str) -> list[int]:
    if isinstance(prompt, str):
        try:
            ids = tokenizer.encode(prompt)
        except InputError as error:
            raise as_api_error(error, place) from None
        if not ids:
            raise invalid("invalid_value", f"{place} is empty; there must be something to go on with", place)
        return ids
    control = set(tokenizer.special_ids.values())
    for token in prompt:
        if token >= tokenizer.vocab_size or token in control:
            most = tokenizer.vocab_size - len(control) - 1
            raise invalid("invalid_value", f"{token} is no token of text; their ids are 0 to {most:,}", place)
    return prompt


async def whole(service: Service, prompts: Prompts) -> bytes:
    """All answers at once, as JSON. Raises: ApiError, KimiVLError."""
    writings: list[list[Writing]] = [[] for _ in prompts.asked]
    async for _ in _events(service, prompts, writings):
        pass
    choices, tokenizer = [], service.model.processor.tokenizer
    for j, (of_one, echoed) in enumerate(zip(writings, prompts.echoed, strict=True)):
        before = _before(prompts, j, of_one)
        for k, writing in enumerate(of_one):
            text, ending, logprobs = writing.whole_text, writing.ending, writing.logprobs
            if prompts.is_silent:
                text, ending, logprobs = "", "length", []
            told = _told([*before, *logprobs], prompts.request, tokenizer, 0)
            choices.append(TextChoice(j * prompts.n + k, echoed + text, ending, told))
    return msgspec.json.encode(TextCompletion(_new_id(), int(time.time()), service.name, choices, _usage(prompts, writings)))


async def chunks(service: Service, prompts: Prompts) -> AsyncGenerator[bytes]:
    """Events as answers are written. Raises: ApiError, KimiVLError."""
    options, request, tokenizer = prompts.request.stream_options, prompts.request, service.model.processor.tokenizer
    with_usage = bool(options and options.include_usage)
    writings: list[list[Writing]] = [[] for _ in prompts.asked]
    number, created = _new_id(), int(time.time())

    def chunk(*choices: TextChoice) -> bytes:
        return event(msgspec.json.encode(TextCompletion(number, created, service.name, [*choices], None if with_usage else msgspec.UNSET)))

    offsets: dict[int, int] = {}  # characters so far of each choice
    async for j, (k, delta, logprobs) in _events(service, prompts, writings):
        index = j * prompts.n + k
        if index not in offsets:
            offsets[index] = len(prompts.echoed[j])
            if prompts.echoed[j]:
                before = _told(_before(prompts, j, writings[j]), request, tokenizer, 0)
                yield chunk(TextChoice(index, prompts.echoed[j], None, before))
        if delta is None and not logprobs:
            yield chunk(TextChoice(index, "", "length" if prompts.is_silent else writings[j][k].ending))
        if prompts.is_silent or (delta is None and not logprobs):
            continue
        text = delta.content or "" if delta else ""
        told = _told(logprobs, request, tokenizer, offsets[index]) if logprobs else None
        offsets[index] += len(text)
        yield chunk(TextChoice(index, text, None, told))
    if with_usage:
        yield event(msgspec.json.encode(TextCompletion(number, created, service.name, [], _usage(prompts, writings))))
    yield DONE


async def _events(
    service: Service, prompts: Prompts, writings: Sequence[list[Writing]]
) -> AsyncIterator[tuple[int, tuple[int, Delta | None, tuple[Logprobs, ...]]]]:
    """The events of each prompt's answers as they come, and the prompt's number."""
    async for number, came in together([events(service, asked, of_one) for asked, of_one in zip(prompts.asked, writings, strict=True)]):
        if came is not None:
            yield number, came


def _before(prompts: Prompts, number: int, writings: Sequence[Writing]) -> list[int | Logprobs]:
    """An echoed prompt's tokens, the first of which follows nothing; of all its answers the first one knows."""
    echoes = prompts.request.echo and prompts.request.logprobs is not None
    return [prompts.asked[number].question.input_ids[0], *writings[0].answer.prompt_logprobs] if echoes else []


def _told(told: Sequence[int | Logprobs], request: CompletionRequest, tokenizer: Tokenizer, offset: int) -> TextLogprobs | None:
    """Of tokens, those that are only numbers without log-probabilities."""
    if request.logprobs is None:
        return None
    made = TextLogprobs([], [], [] if request.logprobs else None, [])
    for one in told:
        token = tokenizer.decode([one if isinstance(one, int) else one.token])
        made.tokens.append(token)
        made.text_offset.append(offset)
        made.token_logprobs.append(None if isinstance(one, int) else max(one.logprob, LEAST_LOGPROB))
        if made.top_logprobs is not None:
            likeliest = () if isinstance(one, int) else one.likeliest
            made.top_logprobs.append({tokenizer.decode([other]): max(value, LEAST_LOGPROB) for other, value in likeliest} or None)
        offset += len(token)
    return made


def _usage(prompts: Prompts, writings: Sequence[Sequence[Writing]]) -> UsageOut:
    """Of all prompts, each of which counts once."""
    each = [usage_out([writing.answer.usage for writing in of_one], of_one[0].answer.cached_tokens) for of_one in writings]
    for other in each[1:]:
        each[0].prompt_tokens += other.prompt_tokens
        each[0].completion_tokens += other.completion_tokens
        each[0].total_tokens += other.total_tokens
        each[0].prompt_tokens_details.cached_tokens += other.prompt_tokens_details.cached_tokens
    if prompts.is_silent:
        each[0].completion_tokens, each[0].total_tokens = 0, each[0].prompt_tokens
    return each[0]


def _new_id() -> str:
    return f"cmpl-{secrets.token_hex(16)}"


COMPLETIONS = Endpoint(CompletionRequest, ask, whole, chunks, operation="text_completion")
