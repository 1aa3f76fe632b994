"""What is sent back, as structs that encode themselves: whole answers, chunks of a stream, usage."""

from __future__ import annotations

from typing import Literal

import msgspec

from kimi_vl.engine import Logprobs
from kimi_vl.llm import Usage
from kimi_vl.processor import Tokenizer

Finish = Literal["stop", "length", "tool_calls"]
LEAST_LOGPROB = -9999.0  # of what cannot come; JSON has no infinity


class Out(msgspec.Struct, omit_defaults=True):
    """Fields that are at their default are left out."""


class TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(msgspec.Struct):
    content: list[TokenLogprob]
    refusal: None = None


class CalledFunction(Out):
    name: str | None = None
    arguments: str | None = None


class ToolCallOut(Out):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None


class Delta(Out):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallOut] | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: int
    image_tokens: int
    audio_tokens: int = 0


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class UsageOut(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Place(Out):
    """A box [left, top, right, bottom] or a point [x, y], in pixels of the picture as its file has it, in points of a PDF's page."""

    label: str
    medium: int
    view: int
    page: int | None
    box: list[float] | msgspec.UnsetType = msgspec.UNSET
    point: list[float] | msgspec.UnsetType = msgspec.UNSET


class CitationOut(msgspec.Struct):
    page: int | None
    quote: str
    box: list[float] | None
    verified: bool
    medium: int


class Found(msgspec.Struct):
    """What an answer points at, where what it says stands, and what was seen."""

    boxes: list[Place]
    points: list[Place]
    citations: list[CitationOut]
    looked_at: list[str]


class ChunkChoice(msgspec.Struct):
    index: int
    delta: Delta
    finish_reason: Finish | None = None
    logprobs: ChoiceLogprobs | None = None
    kimi_vl: Found | msgspec.UnsetType = msgspec.UNSET


class Chunk(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    object: str = "chat.completion.chunk"
    system_fingerprint: str | None = None
    usage: UsageOut | msgspec.UnsetType | None = msgspec.UNSET


class MessageOut(msgspec.Struct):
    content: str | None
    reasoning_content: str | msgspec.UnsetType | None = msgspec.UNSET
    reasoning: str | msgspec.UnsetType | None = msgspec.UNSET
    tool_calls: list[ToolCallOut] | msgspec.UnsetType = msgspec.UNSET
    role: str = "assistant"
    refusal: None = None


class WholeChoice(msgspec.Struct):
    index: int
    message: MessageOut
    finish_reason: Finish
    logprobs: ChoiceLogprobs | None
    kimi_vl: Found


class Completion(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[WholeChoice]
    usage: UsageOut
    object: str = "chat.completion"
    system_fingerprint: str | None = None


def usage_out(usages: list[Usage], cached: int) -> UsageOut:
    """Of all answers to one prompt, which counts once."""
    prompt, image = usages[0].prompt_tokens, usages[0].image_tokens
    completion = sum(usage.completion_tokens for usage in usages)
    thinking = sum(usage.thinking_tokens for usage in usages)
    details = PromptDetails(cached_tokens=cached, image_tokens=image)
    return UsageOut(prompt, completion, prompt + completion, details, CompletionDetails(reasoning_tokens=thinking))


def logprobs_out(told: tuple[Logprobs, ...], tokenizer: Tokenizer) -> ChoiceLogprobs:
    """Tokens as text, where that is any, and as bytes."""
    content = []
    for one in told:
        likeliest = [TopLogprob(*_token(token, tokenizer, value)) for token, value in one.likeliest]
        content.append(TokenLogprob(*_token(one.token, tokenizer, one.logprob), likeliest))
    return ChoiceLogprobs(content)


def _token(token: int, tokenizer: Tokenizer, value: float) -> tuple[str, float, list[int]]:
    data = tokenizer.decode_bytes([token])
    return data.decode("utf-8", "replace"), max(value, LEAST_LOGPROB), list(data)
