"""Who answers: a backend takes items and gives a response for each. Two of them run the model, one prompt at a time or many at once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from PIL import Image

from kimi_vl.errors import PromptTooLong
from kimi_vl.evaluation.suite import TASKS, Item, Response
from kimi_vl.llm import PREFIXES, KimiVL
from kimi_vl.processor import Processor
from kimi_vl.processor.processor import Prompt
from kimi_vl.processor.reply import Reply

MAX_TOKENS = {task.name: task.max_tokens for task in TASKS}
TOO_LONG = Response("", finish_reason="prompt too long")


class Backend(Protocol):
    """`chunk` is how many items it likes to get at once; `tasks` are those that it can answer, None for all."""

    chunk: int
    tasks: frozenset[str] | None

    def answers(self, items: Sequence[Item]) -> list[Response]: ...


def messages(item: Item) -> list[dict[str, Any]]:
    """The conversation of an item: each page behind its label, then the question, as training lays them out."""
    content: list[dict[str, Any]] = []
    for page in item.pages:
        if page.label:
            content.append({"type": "text", "text": page.label})
        content.append({"type": "image", "image": Image.fromarray(page.image)})
    return [{"role": "user", "content": [*content, {"type": "text", "text": item.question}]}]


class OneByOne:
    """`KimiVL.chat`, greedy: what a user gets."""

    chunk = 1
    tasks: frozenset[str] | None = None

    def __init__(self, llm: KimiVL) -> None:
        self._llm = llm

    def answers(self, items: Sequence[Item]) -> list[Response]:
        return [self._answer(item) for item in items]

    def _answer(self, item: Item) -> Response:
        started = time.perf_counter()
        try:
            answer = self._llm.chat(messages(item), thinking=item.mode, temperature=0.0, max_tokens=MAX_TOKENS[item.task])
        except PromptTooLong:
            return TOO_LONG
        seconds = time.perf_counter() - started
        usage = answer.usage
        return Response(answer.text, answer.thinking, usage.thinking_tokens, usage.completion_tokens, answer.finish_reason, seconds)


class Sampled(Protocol):
    """An answer as tokens, an end token last where `finish_reason` is "stop" (`engine.Sampled`)."""

    @property
    def token_ids(self) -> Sequence[int]: ...

    @property
    def finish_reason(self) -> str: ...


Generate = Callable[[Sequence[Prompt], int], Sequence[Sampled]]


class Batched:
    """Many prompts at once through `generate(prompts, max_tokens)`, greedy. Texts are read from the tokens as `KimiVL` reads them.

    Prompts of `longest` tokens or more are not asked: they count as wrong.
    """

    tasks: frozenset[str] | None = None

    def __init__(self, processor: Processor, generate: Generate, *, longest: int, chunk: int) -> None:
        self._processor, self._generate, self._longest, self.chunk = processor, generate, longest, chunk

    def answers(self, items: Sequence[Item]) -> list[Response]:
        groups: dict[int, list[int]] = defaultdict(list)
        prompts = [self._processor.prompt(messages(item), PREFIXES[item.mode]) for item in items]
        responses = [TOO_LONG] * len(items)
        for k, (item, prompt) in enumerate(zip(items, prompts, strict=True)):
            if len(prompt.input_ids) < self._longest:
                groups[MAX_TOKENS[item.task]].append(k)
        for max_tokens, members in groups.items():
            started = time.perf_counter()
            sampled = self._generate([prompts[k] for k in members], max_tokens)
            seconds = (time.perf_counter() - started) / len(members)
            for k, sample in zip(members, sampled, strict=True):
                responses[k] = self._read(items[k].mode, sample, seconds)
        return responses

    def _read(self, mode: str, sample: Sampled, seconds: float) -> Response:
        reply = Reply(self._processor.tokenizer, thinking_started=mode == "on")
        said = sample.token_ids[:-1] if sample.finish_reason == "stop" else sample.token_ids
        pieces = [piece for token in said for piece in reply.push(token)] + reply.finish()
        text, thinking = ("".join(piece.text for piece in pieces if piece.kind == kind) for kind in ("text", "thinking"))
        return Response(text, thinking, reply.thinking_tokens, len(sample.token_ids), sample.finish_reason, seconds)
